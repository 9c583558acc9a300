"""Reads: what pages, the API and agents are told about publishes."""

import hashlib
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.db.models import Max, OuterRef, Prefetch, Subquery
from django.db.models.query import QuerySet

from clusters.models import Agent, connected
from core.problems import NotFound
from products.models import Product
from publishes.choices import OPEN_PHASES, PEOPLES_KINDS, Environment, Phase, Status
from publishes.models import Delivery, Operation, ProductPublish, PublishEvent
from tenants.actors import Actor

_COLUMN_TITLES = {Environment.DEV: "DEV", Environment.STAGE: "STAGING", Environment.PROD: "PROD"}
_PLACE = ("product", "cluster", "gateway")


@dataclass(frozen=True, kw_only=True)
class Live:
    """What is going on with a publish now.

    `operation` is the last one that a person asked for; `following` is what the system did after it (going back), if anything.
    `deliveries` are those of the newest of the two, each with `is_connected`; `failures` are the refused ones of `operation`.
    """

    publish: ProductPublish
    operation: Operation | None = None
    following: Operation | None = None
    deliveries: tuple[Delivery, ...] = ()
    failures: tuple[Delivery, ...] = ()

    @property
    def confirmed(self) -> int:
        """How many agents confirmed."""
        return sum(delivery.phase == Phase.SUCCEEDED for delivery in self.deliveries)

    @property
    def is_open(self) -> bool:
        """Whether anything is still going on that a person waits for."""
        return any(operation is not None and operation.is_open for operation in (self.operation, self.following))

    @property
    def is_asked(self) -> bool:
        """Whether a person's operation is open; another one is refused until it has closed."""
        return self.operation is not None and self.operation.is_open

    @property
    def has_failed(self) -> bool:
        """Whether the last thing asked for failed, and nothing was done since."""
        return self.operation is not None and self.operation.phase == Phase.FAILED

    @property
    def version(self) -> str:
        """A short hash over all that is shown; changes whenever that does."""
        operations = [(o.pk, o.phase) for o in (self.operation, self.following) if o is not None]
        agents = [(d.pk, d.phase, d.attempt, d.step, d.message, getattr(d, "is_connected", None)) for d in (*self.deliveries, *self.failures)]
        return hashlib.sha256(repr((self.publish.status, self.publish.deleted_at, operations, agents)).encode()).hexdigest()[:12]


def tombstone_of(actor: Actor, publish_id: UUID) -> ProductPublish:
    """A deleted publish of the actor's tenant. Raises NotFound."""
    found = ProductPublish.objects.filter(pk=publish_id, tenant_id=actor.tenant_id, deleted_at__isnull=False).first()
    if found is None:
        raise NotFound
    return found


def publish_of(actor: Actor, publish_id: UUID) -> ProductPublish:
    """A publish of the actor's tenant with product, cluster and gateway. Raises NotFound."""
    found = ProductPublish.objects.visible_to(actor).select_related(*_PLACE).filter(pk=publish_id).first()
    if found is None:
        raise NotFound
    return found


def publishes_of(actor: Actor, product: Product) -> QuerySet[ProductPublish]:
    """The publishes of one product, newest first."""
    return ProductPublish.objects.visible_to(actor).filter(product=product).select_related(*_PLACE)


def live_of(actor: Actor, publish_id: UUID) -> Live:
    """What is going on with a publish. Two queries (three before its first operation). Raises NotFound."""
    actor.require_read()
    newest_asked = Operation.objects.filter(publish=OuterRef("publish"), kind__in=PEOPLES_KINDS).order_by("-generation").values("generation")[:1]
    rows = Operation.objects.filter(publish_id=publish_id, publish__tenant_id=actor.tenant_id, publish__deleted_at=None)
    rows = rows.filter(generation__gte=Subquery(newest_asked)).order_by("generation").select_related(*(f"publish__{name}" for name in _PLACE))
    operations = list(rows)
    if not operations:
        return Live(publish=publish_of(actor, publish_id))
    asked, newest = operations[0], operations[-1]
    deliveries = _deliveries_of(asked, newest)
    return Live(
        publish=asked.publish,
        operation=asked,
        following=newest if newest is not asked else None,
        deliveries=tuple(d for d in deliveries if d.operation_id == newest.pk),
        failures=tuple(d for d in deliveries if d.operation_id == asked.pk and d.phase == Phase.FAILED),
    )


def operation_of(actor: Actor, operation_id: UUID) -> Operation:
    """An operation with its deliveries; those of deleted publishes stay readable. Raises NotFound."""
    actor.require_read()
    deliveries = Prefetch("deliveries", queryset=Delivery.objects.select_related("agent"))
    rows = Operation.objects.filter(publish__tenant_id=actor.tenant_id).select_related("publish").prefetch_related(deliveries)
    found = rows.filter(pk=operation_id).first()
    if found is None:
        raise NotFound
    return found


def timeline_of(publish: ProductPublish) -> QuerySet[PublishEvent]:
    """The history of a publish, newest first."""
    return publish.events.all()


@dataclass(frozen=True, kw_only=True)
class Column:
    """One environment of the board on a product's page."""

    environment: Environment
    publishes: tuple[ProductPublish, ...]

    @property
    def title(self) -> str:
        """DEV, STAGING or PROD, as the brief heads its columns."""
        return _COLUMN_TITLES[self.environment]

    @property
    def is_deployed(self) -> bool:
        """Whether anything is PUBLISHED in it."""
        return any(publish.status == Status.PUBLISHED for publish in self.publishes)


def by_environment(publishes: QuerySet[ProductPublish]) -> list[Column]:
    """All three environments in the brief's order, each with its publishes. One query."""
    rows = list(publishes)
    return [Column(environment=env, publishes=tuple(row for row in rows if row.environment == env)) for env in Environment]


def wants_report(agent: Agent, fingerprint: str) -> bool:
    """Whether an agent should tell what it carries: it is not what it should be, or its word is still awaited. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_EXPECTED, {"agent": agent.pk, "cluster": agent.cluster_id, "driver": agent.driver, "open": [phase.value for phase in OPEN_PHASES]})
        expected, is_awaited = cursor.fetchone()
    return bool(expected != fingerprint or is_awaited)


_EXPECTED = f"""
SELECT encode(sha256(convert_to(coalesce(string_agg(
    publish.id::text || ':' || publish.generation || ':' || publish.desired_digest, E'\\n' ORDER BY publish.id::text COLLATE "C"
), ''), 'UTF8')), 'hex'),
EXISTS (SELECT FROM {Delivery._meta.db_table} WHERE agent_id = %(agent)s AND phase = ANY(%(open)s) AND due_at <= statement_timestamp())
FROM {ProductPublish._meta.db_table} publish JOIN gateways_gateway gateway ON gateway.id = publish.gateway_id
WHERE publish.cluster_id = %(cluster)s AND gateway.gateway_class = %(driver)s AND publish.desired_state IN ('live', 'withdrawn')
"""  # noqa: S608 - table names from the models, values as parameters


def desired_of(agent: Agent) -> QuerySet[ProductPublish]:
    """Every publish that was ever sent to the agent's cluster for its kind of gateway, tombstones included."""
    return ProductPublish.objects.filter(cluster_id=agent.cluster_id, gateway__gateway_class=agent.driver, generation__gt=0)


def current_operations(publishes: QuerySet[ProductPublish]) -> QuerySet[Operation]:
    """The operation of each publish's current generation."""
    newest = Operation.objects.filter(publish=OuterRef("publish")).values("publish").annotate(last=Max("generation")).values("last")
    return Operation.objects.filter(publish__in=publishes, generation=Subquery(newest)).select_related("publish")


def _deliveries_of(*operations: Operation) -> list[Delivery]:
    rows = Delivery.objects.filter(operation__in={operation.pk for operation in operations})
    return list(rows.select_related("agent__liveness").annotate(is_connected=connected("agent__")))
