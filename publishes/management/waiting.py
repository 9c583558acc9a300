"""What the commands share: their arguments, their actor, and waiting for an operation."""

import time
from argparse import ArgumentParser
from collections.abc import Callable
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from core.problems import Problem
from publishes.choices import Phase
from publishes.models import Operation, ProductPublish
from tenants.actors import Actor, Role

EXIT_USAGE, EXIT_FAILED, EXIT_TIMED_OUT = 1, 4, 5
POLL_S = 0.1


def add_wait_arguments(parser: ArgumentParser) -> None:
    """The publish, --wait and --timeout."""
    parser.add_argument("publish_id", type=UUID)
    parser.add_argument("--wait", action="store_true", help="return only when the operation has ended")
    parser.add_argument("--timeout", type=float, default=180.0, metavar="SECONDS", help="how long --wait waits (default 180)")


def command_actor(publish_id: UUID) -> Actor:
    """Whoever can run commands on the server acts for the publish's tenant. Raises CommandError."""
    tenant_id = ProductPublish.objects.filter(pk=publish_id, deleted_at=None).values_list("tenant_id", flat=True).first()
    if tenant_id is None:
        raise CommandError(f"There is no publish {publish_id}.", returncode=EXIT_USAGE)
    return Actor(tenant_id=tenant_id, role=Role.OWNER, label="command line")


def finish(command: BaseCommand, request: Callable[[Actor], Operation], *, actor: Actor, timeout: float | None) -> None:
    """Ask for the operation, print its id, wait up to `timeout` seconds (None: not at all), and say how it ended."""
    try:
        operation = request(actor)
    except Problem as problem:
        words = [str(problem.detail), *(f"{name}: {text}" for name, texts in problem.fields.items() for text in texts)]
        raise CommandError(" ".join(words), returncode=EXIT_USAGE) from problem
    command.stdout.write(str(operation.pk))
    if timeout is not None:
        _wait(command, operation, timeout=timeout)


def _wait(command: BaseCommand, operation: Operation, *, timeout: float) -> None:
    give_up_at = time.monotonic() + timeout
    while operation.is_open:
        if time.monotonic() > give_up_at:
            raise CommandError(f"Still {operation.phase} after {timeout:g} s; it goes on without us.", returncode=EXIT_TIMED_OUT)
        time.sleep(POLL_S)
        operation.refresh_from_db()
    if operation.phase != Phase.SUCCEEDED:
        raise CommandError(f"{operation.phase}: {operation.error}", returncode=EXIT_FAILED)
    command.stdout.write(f"{operation.kind} succeeded in {operation.took_ms} ms.")
