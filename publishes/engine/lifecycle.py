"""The status of a publish and the phases of its operations and deliveries: which moves exist, and the only functions that make one."""

from typing import Any

from django.db.models.query import QuerySet
from django.utils import timezone

from publishes.choices import OPEN_PHASES, EventKind, Phase, Status
from publishes.errors import WrongState
from publishes.models import Delivery, Operation, ProductPublish, PublishEvent

_FROM: dict[Status, tuple[Status, ...]] = {
    Status.PUBLISHED: (Status.DRAFT, Status.WITHDRAWN),
    Status.WITHDRAWN: (Status.PUBLISHED,),
}
_ENDS = (Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED, Phase.SUPERSEDED)
PHASES_AFTER: dict[type[Operation | Delivery], dict[Phase, tuple[Phase, ...]]] = {
    # Back to QUEUED: a person's publish gets the next generation's spec.
    Operation: {Phase.QUEUED: (Phase.QUEUED, Phase.SENT, *_ENDS), Phase.SENT: (Phase.QUEUED, *_ENDS)},
    # SENT again: another attempt. Back to QUEUED: after a back-off, or its operation got another spec. A proof counts even after a refusal.
    Delivery: {
        Phase.QUEUED: (Phase.QUEUED, Phase.SENT, Phase.SUCCEEDED, Phase.FAILED, Phase.SUPERSEDED),
        Phase.SENT: (Phase.QUEUED, Phase.SENT, Phase.SUCCEEDED, Phase.FAILED, Phase.SUPERSEDED),
        Phase.FAILED: (Phase.QUEUED, Phase.SUCCEEDED),
        Phase.SUCCEEDED: (Phase.QUEUED,),
    },
}
"""What is not in it is never made; the claim of a worker, one statement of the outbox, takes its conditions from here too."""

_EVENT = {Status.PUBLISHED: EventKind.PUBLISHED, Status.WITHDRAWN: EventKind.WITHDRAWN}


def phases_before(model: type[Operation | Delivery], to: Phase) -> list[Phase]:
    """The phases from which a row may move to that one."""
    return [phase for phase, following in PHASES_AFTER[model].items() if to in following]


def advance(rows: QuerySet[Operation] | QuerySet[Delivery], to: Phase, **changes: Any) -> int:
    """Move those of the rows to a phase that may, by one conditional UPDATE; `changes` go along, and `finished_at` is set or cleared by itself.

    Returns how many that were: what somebody else has moved on in between stays as it is, and it is the caller who knows what that means.
    """
    now = timezone.now()
    finished_at = None if to in OPEN_PHASES else now
    return rows.filter(phase__in=phases_before(rows.model, to)).update(
        phase=to, finished_at=finished_at, updated_at=now, **changes
    )


def move(publish: ProductPublish, to: Status, *, operation: Operation, evidence: dict[str, Any]) -> None:
    """Change the status, and write the transition's line of history, in the caller's transaction.

    Raises WrongState when somebody else moved it in between; then nothing was written.
    """
    now = timezone.now()
    changes: dict[str, Any] = {"status": to, "updated_at": now}
    if to == Status.PUBLISHED:
        changes |= {"published_at": now, "published_by": operation.actor_label}
    else:
        changes |= {"withdrawn_at": now, "withdrawn_by": operation.actor_label}
    moved = ProductPublish.objects.filter(pk=publish.pk, status=publish.status, status__in=_FROM[to]).update(
        **changes
    )
    if moved != 1:
        raise WrongState
    PublishEvent.objects.create(
        publish=publish,
        operation=operation,
        kind=_EVENT[to],
        from_status=publish.status,
        to_status=to,
        actor_label=operation.actor_label,
        actor_user_id=operation.actor_user_id,
        note=operation.note,
        evidence=evidence,
    )
    for name, value in changes.items():
        setattr(publish, name, value)
