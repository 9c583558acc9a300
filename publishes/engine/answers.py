"""Agents' answers, in bulk: an answer, or silence, closes or postpones a delivery.

What the deliveries mean for their operation is decided by `settlement`. A batch of answers costs the same
number of queries whatever its size, unless a publish goes back. Locks: the publishes in the order of their
ids, then their operations, then their deliveries.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F
from django.db.models.functions import Now

from agent.protocol.messages import Carried, Outcome, Result
from clusters.models import Agent
from core import back_off
from publishes.choices import OPEN_PHASES, Desired, Phase
from publishes.engine import alarms, lifecycle, observations, outbox, settlement
from publishes.models import Delivery, Operation

log = structlog.get_logger(__name__)

AT_ONCE = 100
"""Answers recorded in one transaction: it keeps the publishes locked until it ends."""

_WRITTEN_COLUMNS = ["due_at", "evidence", *outbox.OUTCOME_FIELDS]


def record_in_parts(agent: Agent, results: Sequence[Result]) -> None:
    """Record answers; an answer that meets a bug does not stop the others.

    Raises OperationalError or InterfaceError when the database is away.
    """
    for start in range(0, len(results), AT_ONCE):
        _record_in_parts(agent, results[start : start + AT_ONCE])


def _record_in_parts(agent: Agent, results: Sequence[Result]) -> None:
    try:
        record(agent, results)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        if len(results) == 1:
            log.exception("bug", doing="record", agent=str(agent.pk), publish=str(results[0].publish_id))
            return
        for part in (results[: len(results) // 2], results[len(results) // 2 :]):
            _record_in_parts(agent, part)


@transaction.atomic
def record(agent: Agent, results: Iterable[Result]) -> None:
    """Record authenticated answers of an agent: all of them, or none.

    "Verified" counts for exactly its generation and digest, by whichever attempt, even after a refusal. Any
    other outcome counts only under the fencing token of the current attempt. An answer to an older
    generation, or about another agent's delivery, is ignored.
    """
    for answers in _rounds(results):
        _record(agent, answers)


def confirm(agent: Agent, carried: Iterable[Carried]) -> None:
    """An agent reports that it carries exactly these, verified: as good as answers."""
    record(
        agent,
        [
            Result(
                publish_id=row.publish_id,
                generation=row.generation,
                digest=row.digest,
                outcome=Outcome.VERIFIED,
            )
            for row in carried
        ],
    )


@transaction.atomic
def record_silence(tokens: Mapping[UUID, UUID], *, message: str) -> None:
    """Make deliveries due again after a back-off: their agent could not be reached or did not answer in time.

    `tokens` has each attempt's token by the delivery's id. Two queries.
    """
    rows = (
        Delivery.objects.select_for_update(no_key=True)
        .filter(pk__in=tokens, token__in=tokens.values(), phase__in=OPEN_PHASES)
        .order_by("pk")
    )
    moves = [
        (delivery, _postpone(delivery, step="sent", code="agent_silent", message=message))
        for delivery in rows
    ]
    lifecycle.advance_locked(moves, _WRITTEN_COLUMNS)


def _rounds(results: Iterable[Result]) -> list[dict[UUID, Result]]:
    """The answers by publish. Two different answers about one publish go into two rounds, in their order."""
    rounds: list[dict[UUID, Result]] = []
    times = Counter[UUID]()
    for result in dict.fromkeys(results):
        if times[result.publish_id] == len(rounds):
            rounds.append({})
        rounds[times[result.publish_id]][result.publish_id] = result
        times[result.publish_id] += 1
    return rounds


def _record(agent: Agent, answers: Mapping[UUID, Result]) -> None:
    operations = _current_operations(agent, answers)
    alarms.record_answers(
        agent, [result for publish_id, result in answers.items() if publish_id not in operations]
    )
    ahead = {pk: answers[pk] for pk, operation in operations.items() if _is_ahead(answers[pk], operation)}
    settlement.freeze_locked(agent, [_ahead(operations[pk], result) for pk, result in ahead.items()])
    not_ahead = {pk: operation for pk, operation in operations.items() if pk not in ahead}
    observations.note_proved(
        agent, [operation for pk, operation in not_ahead.items() if answers[pk].outcome is Outcome.VERIFIED]
    )
    owners = {operation.pk: operation for operation in not_ahead.values()}
    rows = Delivery.objects.select_for_update(of=["self"], no_key=True).filter(
        operation__in=owners, agent=agent, phase__in=[*OPEN_PHASES, Phase.FAILED]
    )
    outcomes = [
        (delivery, _answer(delivery, answers[owners[delivery.operation_id].publish_id]))
        for delivery in rows.order_by("pk")
    ]
    moves = [(delivery, to) for delivery, to in outcomes if to]
    lifecycle.advance_locked(moves, _WRITTEN_COLUMNS)
    answered = [owners[delivery.operation_id] for delivery, _to in moves]
    if any(answers[operation.publish_id].outcome is Outcome.WORKING for operation in answered):
        outbox.renew(agent.pk)
    absent = [
        operation.publish_id for operation in answered if operation.publish.desired_state == Desired.ABSENT
    ]
    if absent:
        settlement.release_hosts(pk__in=absent)
    settlement.settle(*answered)


def _current_operations(agent: Agent, answers: Mapping[UUID, Result]) -> dict[UUID, Operation]:
    """The operations of the answers by publish, where an answer names the current generation and digest.

    Two queries.
    """
    publishes = {
        publish.pk: publish
        for publish in settlement.lock_publishes(cluster_id=agent.cluster_id, pk__in=answers)
    }
    current_ids = [
        pk
        for pk, publish in publishes.items()
        if (publish.generation, publish.desired_digest) == (answers[pk].generation, answers[pk].digest)
    ]
    rows = (
        Operation.objects.select_for_update(of=["self"])
        .filter(publish__in=current_ids, generation=F("publish__generation"))
        .order_by("pk")
    )
    operations = {operation.publish_id: operation for operation in rows} if current_ids else {}
    for publish_id, operation in operations.items():
        operation.publish = publishes[publish_id]
    return operations


def _is_ahead(result: Result, operation: Operation) -> bool:
    return result.outcome is Outcome.STALE and result.highest_generation >= operation.generation


def _ahead(operation: Operation, result: Result) -> alarms.Ahead:
    return alarms.Ahead(
        publish=operation.publish, generation=result.highest_generation, state=operation.publish.desired_state
    )


def _answer(delivery: Delivery, result: Result) -> Phase | None:
    """Note the answer in the delivery. Returns the phase that it leads to, None when it does not count."""
    if result.outcome is Outcome.VERIFIED:
        _set_outcome(delivery, step="verified")
        delivery.evidence = result.evidence.model_dump()
        return Phase.SUCCEEDED
    if not delivery.is_open or result.token != delivery.token:
        return None
    if result.outcome is Outcome.WORKING:
        # No other attempt begins before one more lease has passed.
        delivery.step, delivery.due_at = result.step, Now() + timedelta(seconds=settings.LEASE_S)
        return Phase(delivery.phase)
    if result.outcome is Outcome.UNREACHABLE:
        return _postpone(
            delivery, step=result.step, code=result.code or "gateway_unreachable", message=result.message
        )
    _set_outcome(
        delivery,
        step=result.step,
        code=result.code or "refused",
        message=result.message,
        entity=result.entity,
        field=result.field,
    )
    return Phase.FAILED


def _set_outcome(delivery: Delivery, **outcome: str) -> None:
    for name in outbox.OUTCOME_FIELDS:
        setattr(delivery, name, outcome.get(name, ""))


def _postpone(delivery: Delivery, *, step: str, code: str, message: str) -> Phase:
    delivery.due_at = Now() + timedelta(seconds=back_off.seconds_after(delivery.attempt))
    delivery.step, delivery.code, delivery.message = step, code, message
    return Phase.QUEUED
