"""Withdraw from a script, and wait for the proof if asked to."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from core.commands import TerminalCommand
from publishes.management.waiting import add_wait_arguments, command_actor, finish
from publishes.verbs import withdrawing


class Command(TerminalCommand):
    """`manage.py withdraw PUBLISH_ID --reason TEXT [--wait] [--timeout SECONDS]`."""

    help = (
        "Withdraw. With --wait: exit code 0 when every path answers 410, 1 when it is refused, "
        "4 when it failed, 5 when the time was not enough."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("publish_id", type=UUID)
        add_wait_arguments(parser)
        parser.add_argument("--reason", required=True)

    def handle(
        self, *_args: Any, publish_id: UUID, reason: str, wait: bool, timeout: float, **_options: Any
    ) -> None:
        finish(
            self,
            lambda actor: withdrawing.request_withdraw(actor, publish_id, reason=reason),
            actor=command_actor(publish_id),
            timeout=timeout if wait else None,
        )
