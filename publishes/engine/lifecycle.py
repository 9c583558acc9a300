"""The status of a publish and the phases of its operations and deliveries: which moves exist.

Only the functions of this module make a move.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Case, CharField, Q, Value, When
from django.db.models.query import QuerySet
from django.utils import timezone

from core.records import in_order, write_locked
from publishes.choices import OPEN_PHASES, EventKind, Phase, Status
from publishes.errors import WrongState
from publishes.models import Delivery, Operation, ProductPublish, PublishEvent

_STATUSES_BEFORE: dict[Status, tuple[Status, ...]] = {
    Status.PUBLISHED: (Status.DRAFT, Status.WITHDRAWN),
    Status.WITHDRAWN: (Status.PUBLISHED,),
}
_ENDS = (Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED, Phase.SUPERSEDED)
PHASES_AFTER: dict[type[Operation | Delivery], dict[Phase, tuple[Phase, ...]]] = {
    # Back to QUEUED: a person's publish gets the next generation's spec.
    Operation: {Phase.QUEUED: (Phase.QUEUED, Phase.SENT, *_ENDS), Phase.SENT: (Phase.QUEUED, *_ENDS)},
    # SENT again: another attempt. Back to QUEUED: after a back-off, or its operation got another spec.
    # A proof counts even after a refusal.
    Delivery: {
        Phase.QUEUED: (Phase.QUEUED, Phase.SENT, Phase.SUCCEEDED, Phase.FAILED, Phase.SUPERSEDED),
        Phase.SENT: (Phase.QUEUED, Phase.SENT, Phase.SUCCEEDED, Phase.FAILED, Phase.SUPERSEDED),
        Phase.FAILED: (Phase.QUEUED, Phase.SUCCEEDED),
        Phase.SUCCEEDED: (Phase.QUEUED,),
    },
}
"""No other move is ever made. The SQL statement with which a worker claims uses this table too."""

_STAMPS = {
    Status.PUBLISHED: ("published_at", "published_by"),
    Status.WITHDRAWN: ("withdrawn_at", "withdrawn_by"),
}
_EVENT = {Status.PUBLISHED: EventKind.PUBLISHED, Status.WITHDRAWN: EventKind.WITHDRAWN}


def phases_before(model: type[Operation | Delivery], to: Phase) -> list[Phase]:
    """The phases from which a row may move to that one."""
    return [phase for phase, following in PHASES_AFTER[model].items() if to in following]


def advance(rows: QuerySet[Operation] | QuerySet[Delivery], to: Phase, **changes: Any) -> int:
    """Move the rows that may move to a phase, by one conditional UPDATE that locks them in the order of ids.

    `changes` are written with the phase, and `finished_at` is set or cleared. Returns how many rows moved: a
    row that another transaction has moved meanwhile stays as it is, and the caller knows what that means.
    """
    now = timezone.now()
    finished_at = None if to in OPEN_PHASES else now
    may_move = Q(phase__in=phases_before(rows.model, to))
    moving: QuerySet[Any] = in_order(rows.filter(may_move))
    # A lock needs a transaction, also where an agent pulls and none is open.
    with transaction.atomic(savepoint=False):
        return moving.filter(may_move).update(phase=to, finished_at=finished_at, updated_at=now, **changes)


def advance_locked(
    moves: Sequence[tuple[Operation, Phase]] | Sequence[tuple[Delivery, Phase]], columns: Sequence[str]
) -> None:
    """Move each row to a phase of its own, and write these columns of it too. One query, none for no rows.

    The caller's transaction holds the locks under which the rows were read. Raises WrongState, before
    anything is written, when a row may not move.
    """
    if any(to not in PHASES_AFTER[type(row)].get(Phase(row.phase), ()) for row, to in moves):
        raise WrongState
    now = timezone.now()
    for row, to in moves:
        row.phase, row.finished_at = to, None if to in OPEN_PHASES else now
    write_locked([row for row, _to in moves], ["phase", "finished_at", *columns])


def move(operations: Sequence[Operation], to: Status, *, evidence: Mapping[UUID, dict[str, Any]]) -> None:
    """Change the status of each operation's publish, and write a line of history for each transition.

    `evidence` is by operation. In the caller's transaction, which holds the publishes' locks. Raises
    WrongState when a publish was moved meanwhile: the caller's transaction must end with it. Two queries.
    """
    if not operations:
        return
    now = timezone.now()
    # The lines name the status before, so they are made first.
    lines = [_history_line(operation, to, evidence=evidence[operation.pk]) for operation in operations]
    time, by = _STAMPS[to]
    by_label: dict[str, list[UUID]] = {}
    for operation in operations:
        by_label.setdefault(operation.actor_label, []).append(operation.publish_id)
    labels = Case(
        *(When(pk__in=publishes, then=Value(label)) for label, publishes in by_label.items()),
        output_field=CharField(),
    )
    rows = ProductPublish.objects.filter(
        pk__in=[operation.publish_id for operation in operations], status__in=_STATUSES_BEFORE[to]
    )
    if rows.update(**{"status": to, "updated_at": now, time: now, by: labels}) != len(operations):
        raise WrongState
    PublishEvent.objects.bulk_create(lines)
    for operation in operations:
        for name, value in {"status": to, "updated_at": now, time: now, by: operation.actor_label}.items():
            setattr(operation.publish, name, value)


def _history_line(operation: Operation, to: Status, *, evidence: dict[str, Any]) -> PublishEvent:
    return PublishEvent(
        publish=operation.publish,
        operation=operation,
        kind=_EVENT[to],
        from_status=operation.publish.status,
        to_status=to,
        actor_label=operation.actor_label,
        actor_user_id=operation.actor_user_id,
        note=operation.note,
        evidence=evidence,
    )
