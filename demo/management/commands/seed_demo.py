"""Seed the demo's data into the configured database (only with DEMO=1 in the environment)."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from core.commands import TerminalCommand
from demo.seed import seed


class Command(TerminalCommand):
    """`manage.py seed_demo --state DIR --billing URL --invoice URL --refund URL`."""

    help = "Seed the demo's people, products, clusters and gateways. Running it again changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--state", type=Path, required=True, help="folder that keeps the API tokens")
        for name in ("billing", "invoice", "refund"):
            parser.add_argument(f"--{name}", required=True, metavar="URL")

    def handle(
        self, *_args: Any, state: Path, billing: str, invoice: str, refund: str, **_options: Any
    ) -> None:
        seeded = seed(upstreams={"billing": billing, "invoice": invoice, "refund": refund}, state=state)
        self.stdout.write(f"Seeded. Sign in as {seeded.provider.username} with {seeded.provider.password}.")
