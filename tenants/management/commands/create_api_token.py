"""Create an API token for a tenant; the token is alone on the last line."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _

from core.commands import TerminalCommand
from tenants.actors import Role
from tenants.models import Tenant
from tenants.tokens import create_api_token


class Command(TerminalCommand):
    """`manage.py create_api_token --tenant SLUG --role developer`."""

    help = "Create an API token for a tenant. It is shown once, alone on the last line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, metavar="SLUG")
        parser.add_argument("--role", required=True, choices=Role.values)
        parser.add_argument("--name", default="command line")

    def handle(self, *_args: Any, tenant: str, role: str, name: str, **_options: Any) -> None:
        known_tenant = Tenant.objects.filter(slug=tenant).first()
        if known_tenant is None:
            slugs = ", ".join(Tenant.objects.values_list("slug", flat=True)) or "—"
            raise CommandError(
                _("No tenant has the slug %(slug)s. Known: %(known)s.") % {"slug": tenant, "known": slugs}
            )
        self.stderr.write(_("The token is shown once; keep it like a password."))
        self.stdout.write(create_api_token(known_tenant, name=name, role=Role(role)))
