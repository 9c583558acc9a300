"""From the outbox to the agents: a woken worker pushes what is due, and an agent pulls its specs."""

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
"""How long a worker gathers more deliveries, at most, before it gives an agent's lease back."""


def deliver(agent_id: UUID) -> None:
    """Push to one agent until nothing is due.

    Returns at once when another worker has the agent's lease, or the agent is blocked.
    """
    if not Agent.objects.enrolled().filter(pk=agent_id).exists():
        return
    while (claim := outbox.claim(agent_id)) is not None:
        started = monotonic()
        try:
            if claim.deliveries:
                _send(agent_id, claim)
            sleep(_pause_s(claim, took_s=monotonic() - started))
        finally:
            # Released before the next look: a worker that was woken while we had the lease has gone away, so
            # its deliveries are ours.
            outbox.release(agent_id, lease=claim.lease)


def _pause_s(claim: outbox.Claim, *, took_s: float) -> float:
    """How long to keep an agent's lease after a push, in seconds."""
    if not claim.deliveries:
        return LOCKED_PAUSE_S
    # A change costs agent and gateway about the same whatever its size. So under load, gather deliveries
    # for as long as the last push took.
    return min(took_s, GATHER_S) if len(claim.deliveries) > 1 else 0.0


def fetch(agent: Agent, publish_ids: tuple[UUID, ...]) -> list[Item]:
    """The current specs of those of these publishes that are this agent's, as many as fit into one answer.

    An open delivery gets a token for its result. Removals of unknown publishes that operators want off the
    agent are added.
    """
    operations = _current_operations(agent, publish_ids)
    specs = keys.joined([Spec.model_validate(operation.spec) for operation in operations])
    rows = Delivery.objects.filter(operation__in=operations, agent=agent, phase__in=OPEN_PHASES)
    open_deliveries = {delivery.operation_id: delivery for delivery in rows}
    deliveries = [open_deliveries.get(operation.pk) for operation in operations]
    items = list(map(_item, specs, deliveries))
    first_piece = next(_pieces(items), [])
    claimed: list[Item] = []
    for item, delivery in zip(first_piece, deliveries, strict=False):
        token = outbox.claim_for_pull(delivery) if delivery else None
        claimed.append(item.model_copy(update={"token": token}))
    removals = [spec for spec in alarms.removal_specs(agent) if spec.publish_id in publish_ids]
    return claimed + [Item(spec=spec) for spec in removals]


def _item(spec: Spec, delivery: Delivery | None) -> Item:
    return Item(spec=spec, delivery=delivery.pk if delivery else None)


def _current_operations(agent: Agent, publish_ids: tuple[UUID, ...]) -> list[Operation]:
    """The current operations of the agent's publishes that may be sent: not frozen, no key past its end."""
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
    """The items in order, in pieces that each fit into one message; an item that is larger goes alone."""
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
