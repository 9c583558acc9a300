"""Make an API token for a tenant; the token stands alone on the last line."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tenants.actors import Role
from tenants.models import Tenant
from tenants.services import create_api_token


class Command(BaseCommand):
    """`manage.py create_api_token --tenant SLUG --role developer`."""

    help = "Make an API token for a tenant. It is shown once, alone on the last line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, metavar="SLUG")
        parser.add_argument("--role", required=True, choices=Role.values)
        parser.add_argument("--name", default="command line")

    def handle(self, *_args: Any, tenant: str, role: str, name: str, **_options: Any) -> None:
        found = Tenant.objects.filter(slug=tenant).first()
        if found is None:
            known = ", ".join(Tenant.objects.values_list("slug", flat=True)) or "none"
            raise CommandError(f"There is no tenant with the slug {tenant!r}. Known: {known}.")
        self.stderr.write("The token is shown once; keep it like a password.")
        self.stdout.write(create_api_token(found, name=name, role=Role(role)))
