"""Make a one-time enrolment code for an agent; the code stands alone on the last line."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from clusters.models import Cluster
from clusters.services import create_enrolment_code


class Command(BaseCommand):
    """`manage.py enroll_agent --cluster NAME --name AGENT`."""

    help = "Make a one-time code, valid for an hour, with which a program becomes this agent. It stands alone on the last line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--cluster", required=True, metavar="NAME")
        parser.add_argument("--name", required=True, metavar="AGENT")

    def handle(self, *_args: Any, cluster: str, name: str, **_options: Any) -> None:
        found = Cluster.objects.filter(name=cluster).first()
        if found is None:
            known = ", ".join(Cluster.objects.values_list("name", flat=True)) or "none"
            raise CommandError(f"There is no cluster named {cluster!r}. Known: {known}.")
        try:
            code = create_enrolment_code(found, agent_name=name)
        except ValidationError as problem:
            raise CommandError(" ".join(problem.messages)) from problem
        self.stderr.write(f"On the machine of {name}: python -m agent enroll --code CODE --state DIR --driver envoy --listen HOST:PORT ...")
        self.stdout.write(code)
