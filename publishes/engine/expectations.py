"""Reads for agents and the sweep: what an agent should carry, whether its answer is awaited, and which
operations time alone decides.
"""

from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now
from django.db.models.query import QuerySet
from django.utils import timezone

from agent.protocol.messages import Report
from clusters.models import Agent, counting
from publishes.choices import OPEN_PHASES, Desired, Phase
from publishes.models import Alarm, Delivery, Observation, Operation, ProductPublish


@dataclass(frozen=True, kw_only=True)
class HeartbeatDecision:
    """For a heartbeat: whether the agent should report, and whether a person waits for its answer."""

    report: bool
    is_waited_for: bool


def heartbeat_decision(agent: Agent, fingerprint: str) -> HeartbeatDecision:
    """An agent should report when it does not carry what it should, when its answer is awaited, or when its
    observations are out of date.

    An agent that refused a removal is asked again while that keeps a host claimed, or while operators want
    the removal: its gateway may only have been away for a moment. One query.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _EXPECTED,
            {
                "agent": agent.pk,
                "cluster": agent.cluster_id,
                "driver": agent.driver,
                "open": [phase.value for phase in OPEN_PHASES],
            },
        )
        expected, is_due, is_stale, is_waited_for = cursor.fetchone()
    return HeartbeatDecision(
        report=expected != fingerprint or is_due or is_stale, is_waited_for=is_waited_for
    )


_EXPECTED = f"""
SELECT encode(sha256(convert_to(coalesce(string_agg(
    publish.id::text || ':' || publish.generation || ':' || publish.desired_digest,
    E'\\n' ORDER BY publish.id::text COLLATE "C"
), ''), 'UTF8')), 'hex'),
EXISTS (
    SELECT FROM {Delivery._meta.db_table}
    WHERE agent_id = %(agent)s AND phase = ANY(%(open)s) AND due_at <= statement_timestamp()
),
coalesce(bool_or(NOT EXISTS (
    SELECT FROM {Observation._meta.db_table} observation
    WHERE observation.agent_id = %(agent)s AND observation.publish_id = publish.id
    AND observation.generation = publish.generation AND observation.digest = publish.desired_digest
    AND observation.verified
)), false) OR EXISTS (
    SELECT FROM {Observation._meta.db_table} observation
    JOIN {ProductPublish._meta.db_table} removed ON removed.id = observation.publish_id
    WHERE observation.agent_id = %(agent)s AND observation.state <> 'absent'
    AND removed.desired_state = 'absent'
) OR EXISTS (
    SELECT FROM {ProductPublish._meta.db_table} removed
    JOIN {Operation._meta.db_table} operation
    ON operation.publish_id = removed.id AND operation.generation = removed.generation
    JOIN {Delivery._meta.db_table} refused ON refused.operation_id = operation.id
    WHERE removed.cluster_id = %(cluster)s AND removed.desired_state = 'absent'
    AND removed.claimed_host IS NOT NULL
    AND refused.agent_id = %(agent)s AND refused.phase = 'FAILED'
) OR EXISTS (
    SELECT FROM {Alarm._meta.db_table}
    WHERE agent_id = %(agent)s AND closed_at IS NULL AND take_off_at IS NOT NULL
),
EXISTS (
    SELECT FROM {Delivery._meta.db_table} delivery
    JOIN {Operation._meta.db_table} operation ON operation.id = delivery.operation_id
    WHERE delivery.agent_id = %(agent)s
    AND delivery.phase = ANY(%(open)s) AND operation.phase = ANY(%(open)s)
)
FROM {ProductPublish._meta.db_table} publish
JOIN gateways_gateway gateway ON gateway.id = publish.gateway_id
WHERE publish.cluster_id = %(cluster)s AND gateway.gateway_class = %(driver)s
AND publish.desired_state IN ('live', 'withdrawn')
"""  # noqa: S608 - table names from the models, values as parameters


def publishes_of(agent: Agent) -> QuerySet[ProductPublish]:
    """Every publish of the agent's cluster for its kind of gateway.

    Tombstones and drafts that were never sent are included.
    """
    return ProductPublish.objects.filter(cluster_id=agent.cluster_id, gateway__gateway_class=agent.driver)


def missing(agent: Agent, *, page: Report) -> list[UUID]:
    """Ids of the publishes that the agent should fetch because a page of its report covers but omits them.

    Left out are publishes with a push under way, and confirmed absences. One query.
    """
    rows = (
        publishes_of(agent)
        .filter(covered_by(page, "pk"), generation__gt=0, frozen_at=None)
        .exclude(pk__in=[row.publish_id for row in page.carried])
    )
    states = delivery_states_of(agent)
    needed = rows.filter(~Q(desired_state=Desired.ABSENT) | Q(states["is_unconfirmed"]), ~states["is_pushed"])
    return list(needed.values_list("pk", flat=True))


def covered_by(page: Report, field: str) -> Q:
    """The publishes that a page of a report covers; `field` is the one with their ids."""
    is_after = Q(**{f"{field}__gt": page.after}) if page.after else Q()
    return is_after & Q(**{f"{field}__lte": page.until}) if page.until else is_after


def delivery_states_of(agent: Agent) -> dict[str, Exists]:
    """For `annotate` on publishes: how far this agent is with the current generation.

    Its answer is awaited, a push to it is under way, or it has not confirmed.
    """
    current = Delivery.objects.filter(
        agent=agent, operation__publish=OuterRef("pk"), operation__generation=OuterRef("generation")
    )
    awaited = current.filter(phase__in=OPEN_PHASES)
    return {
        "is_awaited": Exists(awaited),
        "is_pushed": Exists(awaited.filter(phase=Phase.SENT, due_at__gt=Now())),
        "is_unconfirmed": Exists(current.filter(phase__in=[*OPEN_PHASES, Phase.FAILED])),
    }


def decidable_operations() -> QuerySet[Operation, UUID]:
    """Ids of the open operations that need no further answer: the deadline has passed, or no counting agent
    is awaited any more.
    """
    deliveries = Delivery.objects.filter(operation=OuterRef("pk"))
    awaited = (
        deliveries.filter(phase__in=OPEN_PHASES)
        .annotate(is_counting=counting("agent__"))
        .filter(is_counting=True)
    )
    has_ended = Q(deadline_at__lte=timezone.now()) | (
        ~Exists(awaited) & (Exists(deliveries.exclude(phase__in=OPEN_PHASES)) | ~Exists(deliveries))
    )
    return (
        Operation.objects.filter(has_ended, phase__in=OPEN_PHASES)
        .order_by("deadline_at")
        .values_list("pk", flat=True)
    )


def current_operations(publishes: QuerySet[ProductPublish]) -> QuerySet[Operation]:
    """The operation of each publish's current generation."""
    return Operation.objects.filter(
        publish__in=publishes, generation=F("publish__generation")
    ).select_related("publish")
