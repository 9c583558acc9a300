"""What answers mean: deliveries close an operation, and an operation moves the status. An agent that is ahead
of us freezes its publish instead.

Phases move by the table of `lifecycle`; here through `outbox.close` alone. Locks: the publish first, then
its operation.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.utils import timezone
from django.utils.translation import gettext_noop

from agent.protocol.messages import Carried
from clusters.models import Agent, counting
from core.records import free_of
from publishes import spec
from publishes.choices import OPEN_PHASES, Desired, EventKind, Kind, Phase, Status
from publishes.engine import alarms, lifecycle, outbox
from publishes.engine.verdicts import Failure, Success, verdict_of
from publishes.models import Credential, Delivery, Operation, ProductPublish, PublishEvent
from tenants.actors import Actor

_DONE_EVENTS = {
    Kind.DELETE: EventKind.DELETED,
    Kind.REVERT: EventKind.WENT_BACK,
    Kind.HEAL: EventKind.IN_STEP,
    Kind.SYNC: EventKind.SYNCED,
}
AGENT_GONE = gettext_noop(
    "The agent has not been heard of since three heartbeats. It catches up by itself when it is back."
)
AHEAD = gettext_noop(
    "An agent has a version of this publish that we do not know of, as after a restored backup. "
    "An operator has to adopt it first."
)


def cancel(operation: Operation, *, actor: Actor) -> None:
    """Stop an open publish, and go back to what stood before. The transaction holds the publish's lock."""
    outbox.close([operation], Phase.CANCELLED)
    PublishEvent.objects.create(
        publish_id=operation.publish_id,
        operation=operation,
        kind=EventKind.CANCELLED,
        actor_label=actor.label,
        actor_user_id=actor.user_id,
        evidence={"kind": operation.kind, "took_ms": operation.took_ms},
    )
    _go_back(operation, actor=actor)


@transaction.atomic
def freeze(agent: Agent, *carried: Carried) -> None:
    """Freeze publishes of which an agent carries versions that we do not know, as after a restored backup.

    Nothing of these publishes is sent to any agent until an operator adopts them.
    """
    rows = {row.publish_id: row for row in carried}
    publishes = lock_publishes(cluster_id=agent.cluster_id, pk__in=rows)
    ahead = [publish for publish in publishes if alarms.is_ahead(rows[publish.pk], publish)]
    freeze_locked(
        agent,
        [
            alarms.Ahead(
                publish=publish, generation=rows[publish.pk].generation, state=rows[publish.pk].state.value
            )
            for publish in ahead
        ],
    )


def freeze_locked(agent: Agent, ahead: Sequence[alarms.Ahead]) -> None:
    """Freeze publishes in a transaction that holds their locks.

    Nothing goes back: what the agents carry is newer than anything that we could send.
    """
    if not ahead:
        return
    newly_ahead = alarms.note_ahead(agent, ahead)
    publishes = {
        item.publish.pk: item.publish
        for item in ahead
        if item.publish.pk in newly_ahead or item.publish.frozen_at is None
    }
    now = timezone.now()
    ProductPublish.objects.filter(pk__in=publishes).update(frozen_at=now, updated_at=now)
    outbox.supersede([*publishes.values()])
    evidence = {
        item.publish.pk: {
            "agent": agent.name,
            "generation": item.generation,
            "known": item.publish.generation,
        }
        for item in ahead
    }
    PublishEvent.objects.bulk_create(
        PublishEvent(publish_id=pk, kind=EventKind.FROZEN, evidence=evidence[pk]) for pk in publishes
    )
    stopped = list(
        Operation.objects.select_for_update()
        .filter(publish__in=publishes, phase__in=OPEN_PHASES)
        .order_by("pk")
    )
    for publish in publishes.values():
        publish.frozen_at = now
    for operation in stopped:
        operation.publish = publishes[operation.publish_id]
    _fail([Failure(operation=operation, code="generation_ahead", message=AHEAD) for operation in stopped])


def lock_publishes(**of: Any) -> list[ProductPublish]:
    """Publishes with these values, locked in the order of ids: two such transactions cannot deadlock."""
    return list(
        ProductPublish.objects.select_for_update(of=["self"], no_key=True).filter(**of).order_by("pk")
    )


def thaw(publish: ProductPublish) -> None:
    """End the freeze, because an operator has decided. The transaction holds the publish's lock."""
    publish.frozen_at = None
    publish.save(update_fields=["frozen_at", "updated_at"])


def explain_absence() -> None:
    """Note on the deliveries of a disconnected agent why they wait. One query, two when there are any."""
    disconnected = Agent.objects.filter(blocked_at=None, liveness__isnull=False).exclude(
        pk__in=Agent.objects.connected()
    )
    waiting = Delivery.objects.filter(agent__in=disconnected, phase__in=OPEN_PHASES).exclude(
        code="agent_gone"
    )
    with free_of(waiting) as rows:
        rows.update(code="agent_gone", message=AGENT_GONE, updated_at=timezone.now())


@transaction.atomic
def settle_by_id(operation_id: UUID) -> None:
    """Decide an operation again, because time has passed or an agent came or went.

    Does nothing while another transaction has the publish locked.
    """
    publish = (
        ProductPublish.objects.select_for_update(of=["self"], no_key=True, skip_locked=True)
        .filter(operations=operation_id)
        .first()
    )
    if publish is not None:
        settle(Operation.objects.select_for_update().get(pk=operation_id))


def settle(*operations: Operation) -> None:
    """Close the operations that their deliveries decide, by the rule of `verdict_of`.

    The transaction holds the publishes' locks.
    """
    undecided = [operation for operation in operations if operation.is_open]
    if not undecided:
        return
    deliveries: dict[UUID, list[Any]] = {operation.pk: [] for operation in undecided}
    for delivery in (
        Delivery.objects.filter(operation__in=undecided)
        .annotate(is_counting=counting("agent__"))
        .select_related("agent")
    ):
        deliveries[delivery.operation_id].append(delivery)
    verdicts = [verdict_of(operation, deliveries[operation.pk]) for operation in undecided]
    _succeed([verdict for verdict in verdicts if isinstance(verdict, Success)])
    _fail([verdict for verdict in verdicts if isinstance(verdict, Failure)])


def forget_other_drivers() -> None:
    """Drop the deliveries of an agent that was enrolled anew with another driver.

    Its former gateway is then taken for removed.
    """
    foreign_deliveries = Delivery.objects.filter(phase__in=OPEN_PHASES).exclude(
        agent__driver=F("operation__publish__gateway__gateway_class")
    )
    with free_of(foreign_deliveries) as rows:
        rows.delete()


def release_hosts(**of: Any) -> None:
    """Give hosts back whose absence every agent has confirmed (or whose agents were removed)."""
    current = Delivery.objects.filter(
        operation__publish=OuterRef("pk"), operation__generation=OuterRef("generation")
    )
    unconfirmed = current.filter(agent__driver=OuterRef("gateway__gateway_class")).exclude(
        phase=Phase.SUCCEEDED
    )
    absent_publishes = ProductPublish.objects.filter(
        desired_state=Desired.ABSENT, claimed_host__isnull=False, **of
    )
    with free_of(absent_publishes.filter(~Exists(unconfirmed))) as rows:
        rows.update(claimed_host=None, updated_at=timezone.now())


def _succeed(successes: Sequence[Success]) -> None:
    outbox.close([verdict.operation for verdict in successes], Phase.SUCCEEDED)
    evidence = {verdict.operation.pk: verdict.evidence for verdict in successes}
    by_kind: dict[str, list[Operation]] = {}
    for verdict in successes:
        by_kind.setdefault(verdict.operation.kind, []).append(verdict.operation)
    lifecycle.move(by_kind.get(Kind.PUBLISH, []), Status.PUBLISHED, evidence=evidence)
    lifecycle.move(by_kind.get(Kind.WITHDRAW, []), Status.WITHDRAWN, evidence=evidence)
    _make_tombstones(by_kind.get(Kind.DELETE, []))
    _note(
        [
            _line(verdict.operation, _DONE_EVENTS[Kind(verdict.operation.kind)], evidence=verdict.evidence)
            for verdict in successes
            if verdict.operation.kind in _DONE_EVENTS
        ]
    )


def _make_tombstones(operations: Sequence[Operation]) -> None:
    """Make tombstones of the publishes that every agent has removed. Queries only when there are any."""
    if not operations:
        return
    now, publishes = timezone.now(), [operation.publish_id for operation in operations]
    ProductPublish.objects.filter(pk__in=publishes).update(deleted_at=now, updated_at=now)
    Credential.objects.filter(publish__in=publishes).delete()
    for operation in operations:
        operation.publish.deleted_at = now
    release_hosts(pk__in=publishes)


def _fail(failures: Sequence[Failure]) -> None:
    for failure in failures:
        failure.operation.error_code, failure.operation.error = failure.code, failure.message
    outbox.close([failure.operation for failure in failures], Phase.FAILED)
    _note(
        [
            _line(failure.operation, EventKind.FAILED, note=failure.message, evidence=failure.evidence)
            for failure in failures
        ]
    )
    for failure in failures:
        if failure.operation.kind == Kind.PUBLISH and failure.operation.publish.frozen_at is None:
            _go_back(failure.operation)


def _go_back(operation: Operation, *, actor: Actor | None = None) -> None:
    """Undo a failed or cancelled publish on every agent, by a higher generation with what stood before."""
    publish = operation.publish
    spec_before = spec.withdrawn(publish) if publish.status == Status.WITHDRAWN else spec.absent(publish)
    revert = outbox.enqueue(publish, Kind.REVERT, spec_before, actor=actor, cause=operation)
    settle(revert)


def _line(operation: Operation, kind: EventKind, *, note: str = "", evidence: dict[str, Any]) -> PublishEvent:
    return PublishEvent(
        publish_id=operation.publish_id,
        operation=operation,
        kind=kind,
        actor_label=operation.actor_label,
        actor_user_id=operation.actor_user_id,
        note=note,
        evidence=evidence,
    )


def _note(lines: Sequence[PublishEvent]) -> None:
    """One query, none for no lines."""
    PublishEvent.objects.bulk_create(lines)
