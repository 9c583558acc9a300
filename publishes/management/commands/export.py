"""A workspace as a file that `apply` takes."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from core.commands import EXIT_USAGE, TerminalCommand
from core.problems import Problem
from publishes.declarations.files import dump
from publishes.declarations.present import file_of
from publishes.management.waiting import message_for, tenant_actor


class Command(TerminalCommand):
    """`manage.py export --tenant SLUG [--namespace NAME] [--all]`."""

    help = (
        "Write services, products, gateways and publishes as YAML. "
        "Without --all only what carries the namespace's label. Secrets are not in it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, metavar="SLUG")
        parser.add_argument("--namespace", default="default")
        parser.add_argument("--all", action="store_true", help="everything in the workspace, whoever made it")

    def handle(self, *_args: Any, tenant: str, namespace: str, **options: Any) -> None:
        try:
            file = file_of(tenant_actor(tenant), namespace=namespace, is_all=options["all"])
        except Problem as problem:
            raise CommandError(message_for(problem), returncode=EXIT_USAGE) from problem
        self.stdout.write(dump(file), ending="")
