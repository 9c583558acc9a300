"""What the commands share: their actor, their exit codes, and waiting for operations."""

import time
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.utils.translation import gettext as _

from core.commands import EXIT_USAGE
from core.problems import Problem
from publishes.choices import OPEN_PHASES, Phase
from publishes.models import Delivery, Operation, ProductPublish
from tenants.actors import Actor, Role
from tenants.models import Tenant

EXIT_DIFFERS, EXIT_PARTIAL, EXIT_FAILED, EXIT_TIMED_OUT = 2, 3, 4, 5
POLL_S = 0.1


def add_wait_arguments(parser: ArgumentParser) -> None:
    """--wait and --timeout."""
    parser.add_argument("--wait", action="store_true", help="return only when what was asked for has ended")
    parser.add_argument(
        "--timeout", type=float, default=180.0, metavar="SECONDS", help="how long --wait waits (default 180)"
    )


def command_actor(publish_id: UUID) -> Actor:
    """Whoever can run commands on the server acts for the publish's tenant. Raises CommandError."""
    tenant_id = (
        ProductPublish.objects.filter(pk=publish_id, deleted_at=None)
        .values_list("tenant_id", flat=True)
        .first()
    )
    if tenant_id is None:
        raise CommandError(_("There is no publish %(id)s.") % {"id": publish_id}, returncode=EXIT_USAGE)
    return Actor(tenant_id=tenant_id, role=Role.OWNER, label="command line")


def tenant_actor(slug: str) -> Actor:
    """Whoever can run commands on the server acts for the tenant. Raises CommandError."""
    tenant = Tenant.objects.filter(slug=slug).first()
    if tenant is None:
        slugs = ", ".join(Tenant.objects.values_list("slug", flat=True)) or "—"
        raise CommandError(
            _("No tenant has the slug %(slug)s. Known: %(known)s.") % {"slug": slug, "known": slugs},
            returncode=EXIT_USAGE,
        )
    return Actor(tenant_id=tenant.pk, role=Role.OWNER, label="command line", tenant_name=tenant.name)


def finish(
    command: BaseCommand, request: Callable[[Actor], Operation], *, actor: Actor, timeout: float | None
) -> None:
    """Ask for the operation and print its id; wait up to `timeout` seconds (None: not at all) for its end."""
    try:
        operation = request(actor)
    except Problem as problem:
        raise CommandError(message_for(problem), returncode=EXIT_USAGE) from problem
    command.stdout.write(str(operation.pk))
    if timeout is None:
        return
    (operation,) = wait([operation], stderr=command.stderr, timeout=timeout)
    if operation.is_open:
        raise CommandError(
            _("Still %(state)s after %(s)g s; it goes on without us.")
            % {"state": operation.phase, "s": timeout},
            returncode=EXIT_TIMED_OUT,
        )
    if operation.phase != Phase.SUCCEEDED:
        raise CommandError(f"{operation.phase}: {operation.error}", returncode=EXIT_FAILED)
    command.stdout.write(
        _("%(kind)s succeeded in %(ms)d ms.") % {"kind": operation.kind, "ms": operation.took_ms}
    )


def wait(operations: Sequence[Operation], *, stderr: OutputWrapper, timeout: float) -> list[Operation]:
    """Wait until all operations have ended, or the time is over. A terminal shows the progress."""
    ids, give_up_at, shown = [operation.pk for operation in operations], time.monotonic() + timeout, ""
    while True:
        rows = sorted(Operation.objects.filter(pk__in=ids), key=lambda row: ids.index(row.pk))
        is_over = time.monotonic() > give_up_at or not any(row.is_open for row in rows)
        if stderr.isatty():
            shown = _show_progress(stderr, rows, shown=shown, is_over=is_over)
        if is_over:
            return rows
        time.sleep(POLL_S)


def message_for(problem: Problem) -> str:
    """A refusal as one line."""
    return " ".join(
        [
            str(problem.detail),
            *(f"{name}: {text}" for name, texts in problem.fields.items() for text in texts),
        ]
    )


def _show_progress(stderr: OutputWrapper, rows: Sequence[Operation], *, shown: str, is_over: bool) -> str:
    deliveries = Delivery.objects.filter(operation__in=rows)
    answered, agents = deliveries.exclude(phase__in=OPEN_PHASES).count(), deliveries.count()
    text = _("%(ended)d of %(all)d done, %(done)d of %(agents)d agents answered") % {
        "ended": sum(not row.is_open for row in rows),
        "all": len(rows),
        "done": answered,
        "agents": agents,
    }
    if text != shown or is_over:
        stderr.write(f"\r{text}", ending="\n" if is_over else "")
        stderr.flush()
    return text
