"""The outbox: writes what is to be sent, wakes workers, leases agents to them. It alone uses the broker."""

import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

from agent.protocol.spec import Spec
from clusters.models import Agent
from gateways.models import Gateway
from publishes.choices import OPEN_PHASES, PEOPLES_KINDS, EventKind, Kind, Phase
from publishes.engine import lifecycle
from publishes.errors import AlreadyInProgress, Frozen, WrongState
from publishes.models import AgentLease, Delivery, Operation, ProductPublish, PublishEvent
from tenants.actors import Actor

log = structlog.get_logger(__name__)

TASK_DELIVER = "publishes.deliver"
BATCH = 100
MUTED_S = 5.0
TOOK_MS_MAX = 2**31 - 1
"""The column's maximum: 24 days. An operation of a restored database may be older."""

_REQUEST_EVENTS = {
    Kind.PUBLISH: EventKind.PUBLISH_REQUESTED,
    Kind.WITHDRAW: EventKind.WITHDRAW_REQUESTED,
    Kind.DELETE: EventKind.DELETE_REQUESTED,
    Kind.REVERT: EventKind.GOING_BACK,
    Kind.SYNC: EventKind.SYNC_REQUESTED,
}

OUTCOME_FIELDS = ("step", "code", "message", "entity", "field")
"""What a delivery keeps of the answer to its attempt."""


@dataclass(frozen=True, kw_only=True)
class ClaimedDelivery:
    """One delivery that was claimed: the spec to send and the token that its answer has to carry."""

    delivery_id: UUID
    token: UUID
    spec: Spec


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to send what waits for one agent, until the lease ends."""

    lease: UUID
    deliveries: tuple[ClaimedDelivery, ...]


def enqueue(
    publish: ProductPublish,
    kind: Kind,
    spec: Spec,
    *,
    actor: Actor | None = None,
    cause: Operation | None = None,
    note: str = "",
) -> Operation:
    """Write an operation and its deliveries in the caller's transaction, which holds the publish's lock.

    Workers are woken after the commit. `cause` is the operation that the system follows up on; its actor is
    taken over. The system's own changes wait for people's: for a sync or a heal, raises AlreadyInProgress
    while a person's operation is open, Frozen while an agent is ahead.
    """
    if kind in (Kind.SYNC, Kind.HEAL):
        _refuse_to_interrupt(publish)
    label, user_id = _author_of(actor, cause)
    supersede([publish])
    operation = Operation.objects.create(
        publish=publish,
        kind=kind,
        generation=spec.generation,
        spec=spec.model_dump(mode="json"),
        digest=spec.digest,
        actor_label=label,
        actor_user_id=user_id,
        note=note,
        deadline_at=timezone.now() + timedelta(seconds=settings.DEADLINE_S),
    )
    _set_desired(publish, spec)
    # Blocked agents too: they are sent nothing, but may still serve, so their answer or removal is awaited.
    agents = Agent.objects.filter(cluster_id=publish.cluster_id, driver=publish.gateway.gateway_class)
    Delivery.objects.bulk_create(Delivery(operation=operation, agent=agent) for agent in agents)
    AgentLease.objects.bulk_create((AgentLease(agent=agent) for agent in agents), ignore_conflicts=True)
    _announce(operation, _REQUEST_EVENTS.get(kind))
    return operation


def amend(operation: Operation, spec: Spec) -> None:
    """Give an open publish of a person the next generation's spec.

    The operation and its deadline stay the same. Every agent has to prove the new generation: answers to the
    one before are ignored from now on. In the caller's transaction, which holds the publish's lock. Raises
    WrongState when the operation has ended.
    """
    changes = {"generation": spec.generation, "spec": spec.model_dump(mode="json"), "digest": spec.digest}
    if not lifecycle.advance(Operation.objects.filter(pk=operation.pk), Phase.QUEUED, **changes):
        raise WrongState
    operation.refresh_from_db(fields=[*changes, "phase"])
    _set_desired(operation.publish, spec)
    outcome: dict[str, Any] = dict.fromkeys(OUTCOME_FIELDS, "")
    reset = outcome | {"token": None, "attempt": 0, "due_at": Now(), "evidence": {}}
    lifecycle.advance(operation.deliveries.all(), Phase.QUEUED, **reset)
    _announce(operation, EventKind.SYNC_REQUESTED)


def wake_after_commit(agent_ids: Iterable[UUID]) -> None:
    """Wake workers for these agents after the commit; a dead broker raises no error."""
    ids = tuple(agent_ids)
    # A function: Django cannot name a partial that fails.
    transaction.on_commit(lambda: wake(ids), robust=True)


def claim(agent_id: UUID) -> Claim | None:
    """Take the lease on an agent and everything that is due for it, in one statement.

    None when nothing is due, or another worker has the lease. Each claimed row counts an attempt, gets a
    fencing token of its own, and is due again when the lease ends, in case the worker dies. Locked rows are
    skipped. When all are locked, the claim is empty and its worker has to look again: no other would, since
    wake-ups that come during a lease have no effect.
    """
    lease = uuid.uuid4()
    with connection.cursor() as cursor:
        parameters = {"agent": agent_id, "lease": lease, "seconds": settings.LEASE_S, "batch": BATCH}
        cursor.execute(_CLAIM, parameters | _BEFORE_SENT)
        rows = cursor.fetchall()
    if not rows:
        return None
    deliveries = (
        ClaimedDelivery(delivery_id=delivery_id, token=token, spec=Spec.model_validate_json(spec))
        for delivery_id, token, spec in rows
        if delivery_id
    )
    return Claim(lease=lease, deliveries=tuple(deliveries))


_BEFORE_SENT = {
    "operations": [phase.value for phase in lifecycle.phases_before(Operation, Phase.SENT)],
    "deliveries": [phase.value for phase in lifecycle.phases_before(Delivery, Phase.SENT)],
}
_CLAIM = f"""
WITH due AS (
    SELECT delivery.id FROM {Delivery._meta.db_table} delivery
    JOIN {Operation._meta.db_table} operation ON operation.id = delivery.operation_id
    JOIN {ProductPublish._meta.db_table} publish
    ON publish.id = operation.publish_id AND publish.generation = operation.generation
    JOIN {Gateway._meta.db_table} gateway ON gateway.id = publish.gateway_id
    JOIN {Agent._meta.db_table} agent
    ON agent.id = delivery.agent_id AND agent.driver = gateway.gateway_class
    WHERE delivery.agent_id = %(agent)s AND delivery.phase = ANY(%(deliveries)s)
    AND delivery.due_at <= statement_timestamp()
    ORDER BY delivery.created_at LIMIT %(batch)s
), lease AS (
    UPDATE {AgentLease._meta.db_table}
    SET token = %(lease)s, until = statement_timestamp() + make_interval(secs => %(seconds)s)
    WHERE agent_id = %(agent)s AND until <= statement_timestamp() AND EXISTS (SELECT FROM due)
    RETURNING agent_id
), claimed AS (
    SELECT delivery.id, operation_id FROM {Delivery._meta.db_table} delivery JOIN lease USING (agent_id)
    WHERE delivery.id IN (SELECT id FROM due) AND delivery.phase = ANY(%(deliveries)s)
    AND delivery.due_at <= statement_timestamp()
    FOR UPDATE OF delivery SKIP LOCKED
), begun_operations AS (
    UPDATE {Operation._meta.db_table} SET phase = 'SENT', updated_at = statement_timestamp()
    WHERE id IN (
        SELECT id FROM {Operation._meta.db_table}
        WHERE phase = ANY(%(operations)s) AND id IN (SELECT operation_id FROM claimed) FOR UPDATE SKIP LOCKED
    )
), attempts AS (
    UPDATE {Delivery._meta.db_table} delivery
    SET phase = 'SENT', attempt = attempt + 1, token = gen_random_uuid(), step = 'sent',
        due_at = statement_timestamp() + make_interval(secs => %(seconds)s),
        updated_at = statement_timestamp()
    FROM claimed, {Operation._meta.db_table} operation
    WHERE delivery.id = claimed.id AND operation.id = delivery.operation_id
    RETURNING delivery.id, delivery.token, operation.spec::text
)
SELECT attempts.* FROM lease LEFT JOIN attempts ON true
"""  # noqa: S608 - table names from the models, values as parameters


def release(agent_id: UUID, *, lease: UUID) -> None:
    """Give the lease back, unless another worker has it by now."""
    AgentLease.objects.filter(agent_id=agent_id, token=lease).update(until=Now())


def renew(agent_id: UUID) -> None:
    """Extend a lease that has not ended: the agent says that it is still working."""
    AgentLease.objects.filter(agent_id=agent_id, until__gt=Now()).update(
        until=Now() + timedelta(seconds=settings.LEASE_S)
    )


def claim_for_pull(delivery: Delivery) -> UUID:
    """Begin an attempt by pull: a new token, and no lease, because an agent pulls one at a time."""
    token = uuid.uuid4()
    lease_end = Now() + timedelta(seconds=settings.LEASE_S)
    attempt = {"attempt": delivery.attempt + 1, "token": token, "due_at": lease_end, "step": "fetched"}
    lifecycle.advance(Delivery.objects.filter(pk=delivery.pk), Phase.SENT, **attempt)
    return token


class _WakeUps:
    """Sends wake-ups; after a failure it pauses, so that a dead broker costs one time-out and not many."""

    def __init__(self) -> None:
        self.muted_until = 0.0

    def send(self, agent_ids: Iterable[UUID]) -> None:
        for agent_id in agent_ids:
            if time.monotonic() < self.muted_until:
                return
            try:
                current_app.send_task(
                    TASK_DELIVER, args=[str(agent_id)], queue="deliver", expires=settings.DEADLINE_S
                )
            except (BrokerError, RedisError, OSError) as problem:
                self.muted_until = time.monotonic() + MUTED_S
                log.warning("wake_up_failed", reason=type(problem).__name__)


_wake_ups = _WakeUps()


def wake(agent_ids: Iterable[UUID]) -> None:
    """Tell the workers that these agents have something due. A hint: the sweep finds what it misses."""
    _wake_ups.send(agent_ids)


def close(operations: Sequence[Operation], phase: Phase) -> None:
    """Close open operations, and save the errors that are set on them. One query.

    In the caller's transaction, which holds their publishes' locks. Raises WrongState when one has ended.
    """
    now = timezone.now()
    for operation in operations:
        # Below 0 when the clock of the host that made it is ahead of ours.
        took_ms = round((now - operation.created_at).total_seconds() * 1000)
        operation.took_ms = min(max(took_ms, 0), TOOK_MS_MAX)
    moves = [(operation, phase) for operation in operations]
    lifecycle.advance_locked(moves, ["error_code", "error", "took_ms"])


def supersede(publishes: Sequence[ProductPublish]) -> None:
    """End the open deliveries, and the system's open operations, under the publishes' locks. Two queries."""
    lifecycle.advance(Delivery.objects.filter(operation__publish__in=publishes), Phase.SUPERSEDED)
    lifecycle.advance(
        Operation.objects.filter(publish__in=publishes).exclude(kind__in=PEOPLES_KINDS), Phase.SUPERSEDED
    )


def _author_of(actor: Actor | None, cause: Operation | None) -> tuple[str, UUID | None]:
    if actor:
        return actor.label, actor.user_id
    return (cause.actor_label, cause.actor_user_id) if cause else ("", None)


def _announce(operation: Operation, event: EventKind | None) -> None:
    """The line of history, if there is one, and the wake-ups."""
    if event:
        by = {
            "actor_label": operation.actor_label,
            "actor_user_id": operation.actor_user_id,
            "note": operation.note,
        }
        PublishEvent.objects.create(publish_id=operation.publish_id, operation=operation, kind=event, **by)
    agents = Agent.objects.filter(deliveries__operation=operation)
    wake_after_commit(agents.enrolled().connected().exclude(url="").values_list("pk", flat=True))


def _refuse_to_interrupt(publish: ProductPublish) -> None:
    # The deliveries of a person's operation would be superseded, and that operation would never succeed.
    if publish.frozen_at is not None:
        raise Frozen
    if publish.operations.filter(kind__in=PEOPLES_KINDS, phase__in=OPEN_PHASES).exists():
        raise AlreadyInProgress


def _set_desired(publish: ProductPublish, spec: Spec) -> None:
    publish.generation, publish.desired_digest = spec.generation, spec.digest
    publish.desired_state = spec.state.value
    publish.save(update_fields=["generation", "desired_state", "desired_digest", "updated_at"])
