"""Publish from a script, and wait for the proof if asked to."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from core.commands import TerminalCommand
from publishes.management.waiting import add_wait_arguments, command_actor, finish
from publishes.verbs import publishing


class Command(TerminalCommand):
    """`manage.py publish PUBLISH_ID [--wait] [--timeout SECONDS]`."""

    help = (
        "Publish (again). With --wait: exit code 0 when it is live, 1 when it is refused, "
        "4 when it failed, 5 when the time was not enough."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("publish_id", type=UUID)
        add_wait_arguments(parser)
        parser.add_argument("--note", default="")

    def handle(
        self, *_args: Any, publish_id: UUID, note: str, wait: bool, timeout: float, **_options: Any
    ) -> None:
        actor = command_actor(publish_id)
        finish(
            self,
            lambda actor: publishing.request_publish(actor, publish_id, note=note),
            actor=actor,
            timeout=timeout if wait else None,
        )
