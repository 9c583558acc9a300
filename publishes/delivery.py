"""From the outbox to the agents: what a worker does when it is woken, what an agent gets when it asks, and the sweep."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from agent.protocol import VERSION
from agent.protocol.messages import Carried, Command, Item, Result
from agent.protocol.spec import Spec, State
from clusters import agent_keys, client, liveness
from clusters.errors import AgentSilentError
from clusters.models import Agent
from clusters.services import forget_used_requests
from core.idempotency import forget_old_keys
from core.limits import forget_old_windows
from publishes import alarms, expectations, outbox, settlement
from publishes.choices import OPEN_PHASES, Desired
from publishes.models import Delivery, ProductPublish

log = structlog.get_logger(__name__)

SETTLE_AT_ONCE = 500
ANSWER_WITHIN_MS = 5_000  # below SEND_DEADLINE_S: the agent says "working" before we stop listening


def deliver(agent_id: UUID) -> None:
    """Send everything that is due for one agent, until nothing is; returns at once when somebody else is at it, or it is blocked."""
    if not Agent.objects.enrolled().filter(pk=agent_id).exists():
        return
    while (claim := outbox.claim(agent_id)) is not None:
        try:
            _send(agent_id, claim)
        finally:
            # Released before the next look: whoever was woken while we held the lease went away, and what he came for is ours.
            outbox.release(agent_id, lease=claim.lease)


def sweep() -> None:
    """The guarantee: note who came and went, wake workers for what is due, and settle what time has decided."""
    settlement.explain_absence(liveness.note_changes())
    settlement.forget_other_drivers()
    outbox.wake(_agents_with_due_rows())
    for operation_id in expectations.ripe_operations()[:SETTLE_AT_ONCE]:
        with _going_on("settle", operation=str(operation_id)):
            settlement.settle_by_id(operation_id)
    settlement.release_hosts()


def tidy() -> None:
    """Forget what has expired; nothing depends on when."""
    forget_used_requests()
    forget_old_keys()
    forget_old_windows()
    liveness.forget_old_events()
    agent_keys.ask_for_old_ones()


def take_report(agent: Agent, carried: tuple[Carried, ...]) -> list[UUID]:
    """Believe what an agent says it carries, and name the publishes whose current spec it should fetch.

    Left alone are those that are as they should be, those that a push is under way for, and what is to be absent and was confirmed so.
    """
    rows: dict[UUID, Any] = {row.pk: row for row in expectations.desired_of(agent).annotate(**expectations.word_of(agent))}
    known = [one for one in carried if one.publish_id in rows]
    alarms.note_unknown(agent, [one for one in carried if one.publish_id not in rows])
    settlement.observe(agent, known)
    for ahead in [one for one in known if one.generation > rows[one.publish_id].generation]:
        settlement.freeze(agent, ahead)
        rows.pop(ahead.publish_id)
    known = [one for one in known if one.publish_id in rows]
    settled = {one.publish_id for one in known if one.verified and _is_wanted(one, rows[one.publish_id])}
    for one in known:
        if one.publish_id in settled and rows[one.publish_id].is_unconfirmed:
            settlement.confirm(agent, one)
    present = {one.publish_id for one in known if one.state is not State.ABSENT}
    behind = [pk for pk, row in rows.items() if pk not in settled and not row.is_pushed and _should_fetch(row, is_present=pk in present)]
    return behind + [spec.publish_id for spec in alarms.to_take_off(agent)]


def take_results(agent: Agent, results: tuple[Result, ...]) -> None:
    """Record results; one that cannot be recorded does not keep the others from it."""
    for result in results:
        with _going_on("record_result", agent=str(agent.pk), publish=str(result.publish_id)):
            settlement.record_result(agent, result)


def fetch(agent: Agent, publish_ids: tuple[UUID, ...]) -> list[Item]:
    """The current specs of these publishes, as far as they are this agent's; open deliveries get a token for their results.

    What operators want off an agent that we know nothing of goes along.
    """
    operations = expectations.current_operations(expectations.desired_of(agent).filter(pk__in=publish_ids, frozen_at=None))
    open_ones = {d.operation_id: d for d in Delivery.objects.filter(operation__in=operations, agent=agent, phase__in=OPEN_PHASES)}
    items = []
    for operation in operations:
        delivery = open_ones.get(operation.pk)
        token = outbox.claim_for_pull(delivery) if delivery else None
        items.append(Item(spec=Spec.model_validate(operation.spec), delivery=delivery.pk if delivery else None, token=token))
    return items + [Item(spec=spec) for spec in alarms.to_take_off(agent) if spec.publish_id in publish_ids]


@contextmanager
def _going_on(doing: str, **about: str) -> Iterator[None]:
    """A bug in one row is logged as one, and the rows after it have their turn."""
    try:
        yield
    except Exception:
        log.exception("bug", doing=doing, **about)


def _is_wanted(one: Carried, row: ProductPublish) -> bool:
    return (one.generation, one.digest) == (row.generation, row.desired_digest)


def _should_fetch(row: Any, *, is_present: bool) -> bool:
    return row.frozen_at is None and (row.is_unconfirmed or row.desired_state != Desired.ABSENT or is_present)


def _agents_with_due_rows() -> list[UUID]:
    due = Delivery.objects.filter(agent=OuterRef("pk"), phase__in=OPEN_PHASES, due_at__lte=Now())
    return list(Agent.objects.enrolled().connected().filter(Exists(due)).exclude(url="").values_list("pk", flat=True))


def _send(agent_id: UUID, claim: outbox.Claim) -> None:
    agent = Agent.objects.select_related("cluster", "liveness").get(pk=agent_id)
    items = tuple(Item(spec=waiting.spec, delivery=waiting.delivery_id, token=waiting.token) for waiting in claim.waiting)
    command = Command(
        protocol=min(VERSION, agent.liveness.protocol) if hasattr(agent, "liveness") else VERSION,
        items=items,
        upstream_networks=tuple(agent.cluster.upstream_networks),
        reserved=tuple(settings.RESERVED_ENDPOINTS),
        answer_within_ms=ANSWER_WITHIN_MS,
    )
    try:
        answer = client.send(agent, command)
    except AgentSilentError as silence:
        for waiting in claim.waiting:
            settlement.record_silence(waiting.delivery_id, token=waiting.token, message=str(silence))
    else:
        take_results(agent, answer.results)
