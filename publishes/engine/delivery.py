"""From the outbox to the agents: what a worker does when it is woken, and what an agent gets when it asks."""

from collections.abc import Iterator
from time import monotonic, sleep
from uuid import UUID

from django.conf import settings

from agent.protocol import VERSION
from agent.protocol.messages import Command, Item
from agent.protocol.signing import SIZE_LIMIT
from agent.protocol.spec import Spec
from clusters import client
from clusters.errors import AgentSilentError
from clusters.models import Agent
from publishes.choices import OPEN_PHASES
from publishes.engine import alarms, answers, expectations, keys, outbox
from publishes.models import Delivery, Operation

LOCKED_PAUSE_S = 0.02
PIECE_BYTES = SIZE_LIMIT // 4  # sealing makes a message half as large again
ANSWER_WITHIN_MS = 5_000  # below SEND_DEADLINE_S: the agent says "working" before we stop listening
GATHER_S = 1.0
"""How long a worker lets more come together, at most, before it gives an agent's lease back."""


def deliver(agent_id: UUID) -> None:
    """Send everything that is due for one agent, until nothing is; returns at once when somebody else is at it, or it is blocked."""
    if not Agent.objects.enrolled().filter(pk=agent_id).exists():
        return
    while (claim := outbox.claim(agent_id)) is not None:
        started = monotonic()
        try:
            if claim.deliveries:
                _send(agent_id, claim)
            sleep(_pause_s(claim, took_s=monotonic() - started))
        finally:
            # Released before the next look: whoever was woken while we held the lease went away, and what he came for is ours.
            outbox.release(agent_id, lease=claim.lease)


def _pause_s(claim: outbox.Claim, *, took_s: float) -> float:
    """How long to keep an agent's lease after a push, in seconds."""
    if not claim.deliveries:
        return LOCKED_PAUSE_S
    # When many ask at once: each change costs agent and gateway about the same, so let as much come together as the last one took.
    return min(took_s, GATHER_S) if len(claim.deliveries) > 1 else 0.0


def fetch(agent: Agent, publish_ids: tuple[UUID, ...]) -> list[Item]:
    """The current specs of these publishes, as far as they are this agent's and fit into one answer; open deliveries get a token for their results.

    What operators want off an agent that we know nothing of goes along.
    """
    operations = _current_operations(agent, publish_ids)
    specs = keys.joined([Spec.model_validate(operation.spec) for operation in operations])
    open_deliveries = {
        delivery.operation_id: delivery
        for delivery in Delivery.objects.filter(operation__in=operations, agent=agent, phase__in=OPEN_PHASES)
    }
    deliveries = [open_deliveries.get(operation.pk) for operation in operations]
    items = [
        Item(spec=spec, delivery=delivery.pk if delivery else None)
        for spec, delivery in zip(specs, deliveries, strict=True)
    ]
    first_piece = next(_pieces(items), [])
    tokens = [
        outbox.claim_for_pull(delivery) if delivery else None for delivery in deliveries[: len(first_piece)]
    ]
    fitting = [
        item.model_copy(update={"token": token}) for item, token in zip(first_piece, tokens, strict=True)
    ]
    return fitting + [
        Item(spec=spec) for spec in alarms.removal_specs(agent) if spec.publish_id in publish_ids
    ]


def _current_operations(agent: Agent, publish_ids: tuple[UUID, ...]) -> list[Operation]:
    """Those of these publishes that are the agent's and may be sent: without what is frozen, and without a key that is past its end."""
    rows = expectations.current_operations(
        expectations.publishes_of(agent).filter(pk__in=publish_ids, frozen_at=None)
    )
    outdated_ids = keys.expire_before_sending([Spec.model_validate(operation.spec) for operation in rows])
    if not outdated_ids:
        return list(rows)
    return list(rows.all().exclude(publish__in=keys.publishes_with_expired_keys()))


def _send(agent_id: UUID, claim: outbox.Claim) -> None:
    agent = Agent.objects.select_related("cluster", "liveness").get(pk=agent_id)
    outdated_ids = keys.expire_before_sending([claimed.spec for claimed in claim.deliveries])
    unexpired = [claimed for claimed in claim.deliveries if claimed.spec.publish_id not in outdated_ids]
    specs = keys.joined([claimed.spec for claimed in unexpired])
    items = [
        Item(spec=spec, delivery=claimed.delivery_id, token=claimed.token)
        for spec, claimed in zip(specs, unexpired, strict=True)
    ]
    for number, piece in enumerate(_pieces(items)):
        if number:
            outbox.renew(agent_id)
        _send_piece(agent, piece)


def _send_piece(agent: Agent, items: list[Item]) -> None:
    command = Command(
        protocol=min(VERSION, agent.liveness.protocol) if hasattr(agent, "liveness") else VERSION,
        items=tuple(items),
        upstream_networks=tuple(agent.cluster.upstream_networks),
        reserved=tuple(settings.RESERVED_ENDPOINTS),
        answer_within_ms=ANSWER_WITHIN_MS,
    )
    try:
        answer = client.send(agent, command)
    except AgentSilentError as silence:
        tokens = {item.delivery: item.token for item in items if item.delivery and item.token}
        answers.record_silence(tokens, message=str(silence))
    else:
        answers.record_in_parts(agent, answer.results)


def _pieces(items: list[Item]) -> Iterator[list[Item]]:
    """The items in their order, in pieces that each fit into one message; one that alone is larger goes alone."""
    piece: list[Item] = []
    size = 0
    for item in items:
        item_size = len(item.model_dump_json())
        if piece and size + item_size > PIECE_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(item)
        size += item_size
    if piece:
        yield piece
