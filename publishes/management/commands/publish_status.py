"""The status of each publish, and what fails, drifts or waits, for scripts and people."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _

from core.commands import TerminalCommand
from publishes.choices import Condition, Environment, Status
from publishes.management.waiting import EXIT_DIFFERS, tenant_actor
from publishes.models import ProductPublish
from publishes.reading.lists.listing import Filters, conditions_of, matching, with_conditions

_COLUMNS = ("name", "environment", "cluster", "gateway", "status", "conditions", "hostname")


class Command(TerminalCommand):
    """`manage.py publish_status --tenant SLUG [--environment E] [--status S] [--text TEXT] [--json]`."""

    help = (
        "A table of publishes, or with --json a list. "
        "Exit code 0 when all is as wanted, 2 when something failed, drifts or is not done yet."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, metavar="SLUG")
        parser.add_argument("--environment", default="", choices=Environment.values)
        parser.add_argument("--status", default="", choices=Status.values)
        parser.add_argument("--text", default="", help="looked for in product, hostname, cluster and gateway")
        parser.add_argument("--json", action="store_true")

    def handle(
        self, *_args: Any, tenant: str, environment: str, status: str, text: str, **options: Any
    ) -> None:
        filters = Filters(environment=environment, status=status, text=text)
        rows = with_conditions(matching(tenant_actor(tenant), filters)).select_related(
            "product", "cluster", "gateway"
        )
        entries = [_entry(row) for row in rows]
        self.stdout.write(
            json.dumps(entries, ensure_ascii=False, indent=2) if options["json"] else _table(entries)
        )
        if differing := [row["hostname"] for row in entries if row["conditions"]]:
            raise CommandError(
                _("Not as wanted: %(names)s.") % {"names": ", ".join(differing)}, returncode=EXIT_DIFFERS
            )


def _entry(row: ProductPublish) -> dict[str, Any]:
    conditions: tuple[Condition, ...] = conditions_of(row)
    names = {
        "id": str(row.pk),
        "name": str(row.product),
        "cluster": row.cluster.name,
        "gateway": row.gateway.name,
        "hostname": row.hostname_base,
    }
    columns = {name: getattr(row, name) for name in ("environment", "status", "generation")}
    return {**names, **columns, "conditions": [condition.value for condition in conditions]}


def _table(entries: list[dict[str, Any]]) -> str:
    lines = [tuple(name.upper() for name in _COLUMNS)]
    lines += [
        tuple(", ".join(row[name]) if isinstance(row[name], list) else row[name] for name in _COLUMNS)
        for row in entries
    ]
    widths = [max(len(line[number]) for line in lines) for number in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
