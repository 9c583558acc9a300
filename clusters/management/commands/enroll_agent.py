"""Create a one-time enrolment code for an agent; the code stands alone on the last line."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.utils.translation import gettext as _

from clusters.models import Cluster
from clusters.services import create_enrolment_code
from core.commands import TerminalCommand

_DRIVERS = (
    "envoy --proxy HOST:PORT --admin 127.0.0.1:PORT",
    "kong --admin-url http://127.0.0.1:8001 --proxy-url http://127.0.0.1:8000",
)
"""The drivers with the options that each needs, as `python -m agent enroll` takes them."""


class Command(TerminalCommand):
    """`manage.py enroll_agent --cluster NAME --name AGENT`."""

    help = "Create a one-time enrolment code, valid for an hour. It is alone on the last line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--cluster", required=True, metavar="NAME")
        parser.add_argument("--name", required=True, metavar="AGENT")

    def handle(self, *_args: Any, cluster: str, name: str, **_options: Any) -> None:
        known_cluster = Cluster.objects.filter(name=cluster).first()
        if known_cluster is None:
            names = ", ".join(Cluster.objects.values_list("name", flat=True)) or "—"
            raise CommandError(
                _("No cluster has the name %(name)s. Known: %(known)s.") % {"name": cluster, "known": names}
            )
        try:
            code = create_enrolment_code(known_cluster, agent_name=name)
        except ValidationError as problem:
            raise CommandError(" ".join(problem.messages)) from problem
        self.stderr.write(
            _("Run one of these on the machine of %(name)s, with the code below:") % {"name": name}
        )
        for driver in _DRIVERS:
            self.stderr.write(
                f"  python -m agent enroll --code CODE --state DIR --listen HOST:PORT --driver {driver}"
            )
        self.stdout.write(code)
