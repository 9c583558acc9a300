"""What answers mean: an agent's word closes a delivery, deliveries close an operation, an operation moves the status.

Only this module and `outbox` move phases, by `lifecycle.advance`. Locks: the publish first, then its operation.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Now
from django.db.models.query import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop

from agent.protocol.messages import Carried, Outcome, Result
from clusters.models import Agent, counting
from core import back_off
from core.records import free_of
from publishes import spec
from publishes.choices import OPEN_PHASES, Desired, EventKind, Kind, Phase, Status
from publishes.engine import alarms, lifecycle, observations, outbox
from publishes.models import Delivery, Operation, ProductPublish, PublishEvent
from tenants.actors import Actor

log = structlog.get_logger(__name__)

_WORDS_MAX = {"step": 50, "code": 50, "message": 4000, "entity": 200, "field": 200}
_DONE_EVENTS = {Kind.REVERT: EventKind.WENT_BACK, Kind.HEAL: EventKind.IN_STEP, Kind.SYNC: EventKind.SYNCED}
NO_AGENT = gettext_noop("No agent whose gateway answers was connected before the deadline.")
AGENT_GONE = gettext_noop(
    "The agent has not been heard of since three heartbeats. It catches up by itself when it is back."
)
AHEAD = gettext_noop(
    "An agent has a version of this publish that we do not know of, as after a restored backup. An operator has to adopt it first."
)
TIMED_OUT = gettext_noop("Not every connected agent finished before the deadline.")


@transaction.atomic
def record_result(agent: Agent, result: Result) -> None:
    """Take one authenticated answer of an agent.

    "Verified" counts for exactly its generation and digest, whoever sent it when, even after a refusal. Any other outcome counts
    only under the token of the attempt that it answers. What is older than the current generation, or not this agent's, is ignored.
    """
    operation = _current_operation(agent, result)
    if operation is None:
        alarms.take_answer(agent, result)
        return
    if result.outcome is Outcome.STALE and result.highest_generation >= operation.generation:
        _freeze(
            agent,
            operation.publish,
            generation=result.highest_generation,
            state=operation.publish.desired_state,
        )
        return
    if result.outcome is Outcome.VERIFIED:
        observations.note_proved(agent, operation)
    delivery = operation.deliveries.filter(agent=agent, phase__in=[*OPEN_PHASES, Phase.FAILED]).first()
    if delivery is None:
        return
    delivery.operation = operation
    if result.outcome is Outcome.VERIFIED:
        _confirm(delivery, result)
    elif not delivery.is_open or result.token != delivery.token:
        return
    elif result.outcome is Outcome.WORKING:
        _keep_waiting(delivery, result)
    elif result.outcome is Outcome.UNREACHABLE:
        _postpone(
            delivery, step=result.step, code=result.code or "gateway_unreachable", message=result.message
        )
    else:
        _refuse(delivery, result)
    settle(delivery.operation)


def cancel(operation: Operation, *, actor: Actor) -> None:
    """Stop an open publish, and put back what stood before; in a transaction that holds the publish's lock."""
    outbox.close(operation, Phase.CANCELLED)
    PublishEvent.objects.create(
        publish_id=operation.publish_id,
        operation=operation,
        kind=EventKind.CANCELLED,
        actor_label=actor.label,
        actor_user_id=actor.user_id,
        evidence={"kind": operation.kind, "took_ms": operation.took_ms},
    )
    _go_back(operation, actor=actor)


def confirm(agent: Agent, carried: Carried) -> None:
    """An agent reports that it carries exactly this, verified: as good as an answer."""
    record_result(
        agent,
        Result(
            publish_id=carried.publish_id,
            generation=carried.generation,
            digest=carried.digest,
            outcome=Outcome.VERIFIED,
        ),
    )


@transaction.atomic
def record_silence(delivery_id: UUID, *, token: UUID, message: str) -> None:
    """The agent could not be reached, or did not answer in time: the delivery is due again after a back-off."""
    delivery = (
        Delivery.objects.select_related("operation")
        .filter(pk=delivery_id, token=token, phase__in=OPEN_PHASES)
        .first()
    )
    if delivery is not None:
        _postpone(delivery, step="sent", code="agent_silent", message=message)


@transaction.atomic
def freeze(agent: Agent, carried: Carried) -> None:
    """An agent carries a version that we do not know, as after a restored control plane: nothing is sent to any agent until an operator adopts it."""
    publish = (
        ProductPublish.objects.select_for_update(of=["self"], no_key=True)
        .filter(pk=carried.publish_id, cluster_id=agent.cluster_id)
        .first()
    )
    if publish is not None and alarms.is_ahead(carried, publish):
        _freeze(agent, publish, generation=carried.generation, state=carried.state.value)


def thaw(publish: ProductPublish) -> None:
    """The operator's decision takes the freeze's place; in a transaction that holds the publish's lock."""
    publish.frozen_at = None
    publish.save(update_fields=["frozen_at", "updated_at"])


def explain_absence() -> None:
    """Say on everything that waits for an agent which is not heard of any more that this is so. One query, two when there is something to say."""
    away = Agent.objects.filter(blocked_at=None, liveness__isnull=False).exclude(
        pk__in=Agent.objects.connected()
    )
    waiting = Delivery.objects.filter(agent__in=away, phase__in=OPEN_PHASES).exclude(code="agent_gone")
    with free_of(waiting) as rows:
        rows.update(code="agent_gone", message=AGENT_GONE, updated_at=timezone.now())


@transaction.atomic
def settle_by_id(operation_id: UUID) -> None:
    """Decide an operation again, because time has passed or an agent came or went. Nothing while somebody else has the publish locked."""
    publish = (
        ProductPublish.objects.select_for_update(of=["self"], no_key=True, skip_locked=True)
        .filter(operations=operation_id)
        .first()
    )
    if publish is not None:
        settle(Operation.objects.select_for_update().get(pk=operation_id))


def settle(operation: Operation) -> None:
    """Close the operation if the counting agents' deliveries decide it; in a transaction that holds the publish's lock.

    Done: every counting agent confirmed, and at least one agent did; taking off a cluster without any registered agent is done at
    once. Failed: a counting agent refused, or the deadline has passed.
    """
    if not operation.is_open:
        return
    deliveries = list(operation.deliveries.annotate(is_counting=counting("agent__")).select_related("agent"))
    refused = next((d for d in deliveries if d.phase == Phase.FAILED and d.is_counting), None)
    confirmed = [d for d in deliveries if d.phase == Phase.SUCCEEDED]
    waiting = [d for d in deliveries if d.phase in OPEN_PHASES and d.is_counting]
    if refused:
        _fail(operation, error_code=refused.code, error=_words(refused))
    elif (confirmed and not waiting) or (not deliveries and operation.kind != Kind.PUBLISH):
        _succeed(operation, confirmed)
    elif operation.deadline_at <= timezone.now():
        code, text = ("deadline", TIMED_OUT) if waiting else ("no_agent", NO_AGENT)
        guilty = next((d for d in waiting or deliveries if d.message), None)
        _fail(operation, error_code=code, error=_words(guilty) if guilty else text)


def forget_other_drivers() -> None:
    """Drop what waits for an agent that was enrolled with another driver since: it says that its former gateway is gone, like removing it."""
    others = Delivery.objects.filter(phase__in=OPEN_PHASES).exclude(
        agent__driver=F("operation__publish__gateway__gateway_class")
    )
    with free_of(others) as rows:
        rows.delete()


def release_hosts(**of: Any) -> None:
    """Give hosts back whose absence every agent has confirmed (or whose agents were removed)."""
    current = Delivery.objects.filter(
        operation__publish=OuterRef("pk"), operation__generation=OuterRef("generation")
    )
    unconfirmed = current.filter(agent__driver=OuterRef("gateway__gateway_class")).exclude(
        phase=Phase.SUCCEEDED
    )
    gone = ProductPublish.objects.filter(desired_state=Desired.ABSENT, claimed_host__isnull=False, **of)
    with free_of(gone.filter(~Exists(unconfirmed))) as rows:
        rows.update(claimed_host=None, updated_at=timezone.now())


def _current_operation(agent: Agent, result: Result) -> Operation | None:
    publish = (
        ProductPublish.objects.select_for_update(of=["self"], no_key=True)
        .filter(pk=result.publish_id, cluster_id=agent.cluster_id)
        .first()
    )
    if publish is None or publish.generation != result.generation or publish.desired_digest != result.digest:
        return None
    operation = Operation.objects.select_for_update().get(publish=publish, generation=result.generation)
    operation.publish = publish
    return operation


def _confirm(delivery: Delivery, result: Result) -> None:
    _close(delivery, Phase.SUCCEEDED, step="verified", evidence=result.evidence.model_dump())
    if delivery.operation.publish.desired_state == Desired.ABSENT:
        release_hosts(pk=delivery.operation.publish_id)


def _refuse(delivery: Delivery, result: Result) -> None:
    _close(
        delivery,
        Phase.FAILED,
        **_told(
            step=result.step,
            code=result.code or "refused",
            message=result.message,
            entity=result.entity,
            field=result.field,
        ),
    )


def _told(**words: str) -> dict[str, str]:
    """An agent's words as the database can hold them."""
    return {name: text.replace("\x00", "")[: _WORDS_MAX[name]] for name, text in words.items()}


def _close(delivery: Delivery, phase: Phase, **told: Any) -> None:
    cleared = {"code": "", "message": "", "entity": "", "field": ""}
    lifecycle.advance(Delivery.objects.filter(pk=delivery.pk), phase, **(cleared | told))


def _keep_waiting(delivery: Delivery, result: Result) -> None:
    """The agent is at it: neither this delivery nor the agent is anybody else's for one more lease."""
    due_at = Now() + timedelta(seconds=settings.LEASE_S)
    _same_attempt(delivery).update(due_at=due_at, updated_at=timezone.now(), **_told(step=result.step))
    outbox.renew(delivery.agent_id)


def _postpone(delivery: Delivery, *, step: str, code: str, message: str) -> None:
    due_at = Now() + timedelta(seconds=back_off.seconds_after(delivery.attempt))
    words = _told(step=step, code=code, message=message)
    lifecycle.advance(_same_attempt(delivery), Phase.QUEUED, due_at=due_at, **words)


def _same_attempt(delivery: Delivery) -> QuerySet[Delivery]:
    """The row, unless it was closed or tried again since it was read."""
    return Delivery.objects.filter(pk=delivery.pk, token=delivery.token, phase__in=OPEN_PHASES)


def _succeed(operation: Operation, confirmed: Sequence[Delivery]) -> None:
    publish = operation.publish
    outbox.close(operation, Phase.SUCCEEDED)
    agents = [{"name": d.agent.name, **d.evidence} for d in confirmed]
    evidence = {"took_ms": operation.took_ms, "generation": operation.generation, "agents": agents}
    if operation.kind == Kind.PUBLISH:
        lifecycle.move(publish, Status.PUBLISHED, operation=operation, evidence=evidence)
    elif operation.kind == Kind.WITHDRAW:
        lifecycle.move(publish, Status.WITHDRAWN, operation=operation, evidence=evidence)
    elif operation.kind == Kind.DELETE:
        publish.deleted_at = timezone.now()
        publish.save(update_fields=["deleted_at", "updated_at"])
        publish.credentials.all().delete()
        _note(operation, EventKind.DELETED, evidence=evidence)
        release_hosts(pk=publish.pk)
    elif operation.kind in _DONE_EVENTS:
        _note(operation, _DONE_EVENTS[Kind(operation.kind)], evidence=evidence)


def _freeze(agent: Agent, publish: ProductPublish, *, generation: int, state: str) -> None:
    """No going back: what stands on the agents is newer than anything that we could put there."""
    if not alarms.note_ahead(agent, publish, generation=generation, state=state) and publish.frozen_at:
        return
    publish.frozen_at = timezone.now()
    publish.save(update_fields=["frozen_at", "updated_at"])
    outbox.supersede(publish)
    evidence = {"agent": agent.name, "generation": generation, "known": publish.generation}
    PublishEvent.objects.create(publish=publish, kind=EventKind.FROZEN, evidence=evidence)
    for operation in publish.operations.select_for_update().filter(phase__in=OPEN_PHASES):
        operation.publish = publish
        _fail(operation, error_code="generation_ahead", error=AHEAD)


def _fail(operation: Operation, *, error_code: str, error: str) -> None:
    outbox.close(operation, Phase.FAILED, error_code=error_code, error=error)
    _note(
        operation,
        EventKind.FAILED,
        note=error,
        evidence={"code": error_code, "kind": operation.kind, "took_ms": operation.took_ms},
    )
    if operation.kind == Kind.PUBLISH and operation.publish.frozen_at is None:
        _go_back(operation)


def _go_back(operation: Operation, *, actor: Actor | None = None) -> None:
    """A publish that failed or was cancelled is undone everywhere, answered or not, by a higher generation that carries what stood before."""
    publish = operation.publish
    before = spec.withdrawn(publish) if publish.status == Status.WITHDRAWN else spec.absent(publish)
    following = outbox.enqueue(publish, Kind.REVERT, before, actor=actor, because=operation)
    settle(following)


def _note(operation: Operation, kind: EventKind, *, note: str = "", evidence: dict[str, Any]) -> None:
    PublishEvent.objects.create(
        publish_id=operation.publish_id,
        operation=operation,
        kind=kind,
        actor_label=operation.actor_label,
        actor_user_id=operation.actor_user_id,
        note=note,
        evidence=evidence,
    )


def _words(delivery: Delivery) -> str:
    guilty = " ".join(part for part in (delivery.entity, delivery.field) if part)
    return f"{delivery.agent.name}: {guilty + ': ' if guilty else ''}{delivery.message}"
