"""Reads: what pages, the API and agents are told about publishes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Prefetch, Q, Subquery, prefetch_related_objects
from django.db.models.query import QuerySet

from agent.protocol.spec import Spec
from core.pages.live import version_of
from core.problems import NotFound
from products.models import Product
from publishes.choices import (
    DEPLOYING_KINDS,
    OPEN_PHASES,
    PEOPLES_KINDS,
    Phase,
    Status,
)
from publishes.models import Delivery, Operation, ProductPublish
from publishes.reading.board import AgentRow, agents_of
from publishes.reading.silence import silent
from publishes.reading.situation import PLACE, Situation, facts, facts_on
from tenants.actors import Actor

_DELIVERIES = Prefetch("deliveries", queryset=Delivery.objects.select_related("agent"))


@dataclass(frozen=True, kw_only=True)
class Live(Situation):
    """What is going on with a publish now.

    `following` is what the system did after `operation` (going back), if anything. `agents` are those of its
    cluster, each with how far it is with the newest of the two.
    """

    following: Operation | None = None
    agents: tuple[AgentRow, ...] = ()

    @property
    def confirmed(self) -> int:
        """How many agents confirmed the newest operation."""
        return sum(row.phase == Phase.SUCCEEDED for row in self.agents)

    @property
    def addresses(self) -> list[str]:
        """Where callers find the gateways that answer now, as their agents report it."""
        return sorted(
            {row.proxy_url for row in self.agents if row.proxy_url and row.is_connected and row.gateway_ok}
        )

    @property
    def is_open(self) -> bool:
        """Whether anything is still going on that a person waits for."""
        return any(
            operation is not None and operation.is_open for operation in (self.operation, self.following)
        )

    @property
    def open_generation(self) -> int | None:
        """The generation of what is still going on."""
        newest = self.following or self.operation
        return newest.generation if newest is not None and newest.is_open else None

    @property
    def is_cancelled(self) -> bool:
        """Whether the last thing asked for was stopped by a person, and nothing was asked for since."""
        return self.operation is not None and self.operation.phase == Phase.CANCELLED

    @property
    def version(self) -> str:
        """A short hash over all that is shown; changes whenever that does."""
        operations = [(o.pk, o.phase) for o in (self.operation, self.following) if o is not None]
        agents = [row.shown for row in self.agents]
        settings = (
            self.publish.status,
            self.publish.deleted_at,
            self.publish.hostname_base,
            self.publish.frozen_at,
            self.is_place_open,
        )
        return version_of(settings, operations, agents)


def tombstone_of(actor: Actor, publish_id: UUID) -> ProductPublish:
    """A deleted publish of the actor's tenant. Raises NotFound."""
    found = ProductPublish.objects.tombstones_visible_to(actor).filter(pk=publish_id).first()
    if found is None:
        raise NotFound
    return found


def publish_of(actor: Actor, publish_id: UUID) -> ProductPublish:
    """A publish of the actor's tenant with product, cluster and gateway. Raises NotFound."""
    return ProductPublish.objects.select_related(*PLACE).one_for(actor, publish_id)


def publishes_of(actor: Actor, product: Product) -> QuerySet[ProductPublish]:
    """The publishes of one product, newest first."""
    return ProductPublish.objects.visible_to(actor).filter(product=product).select_related(*PLACE)


def with_progress(publishes: QuerySet[ProductPublish]) -> QuerySet[ProductPublish]:
    """Adds `doing`, the kind of what a person asked for and is still going on, `last_phase`, how the last such thing ended, and `is_silent`."""
    asked = Operation.objects.filter(publish=OuterRef("pk"), kind__in=PEOPLES_KINDS).order_by("-generation")
    return publishes.annotate(
        doing=Subquery(asked.filter(phase__in=OPEN_PHASES).values("kind")[:1]),
        last_phase=Subquery(asked.values("phase")[:1]),
        is_silent=Exists(ProductPublish.objects.filter(silent(), pk=OuterRef("pk"))),
    )


def live_of(actor: Actor, publish_id: UUID) -> Live:
    """What is going on with a publish. Two queries (three before its first operation). Raises NotFound."""
    newest_asked = (
        Operation.objects.filter(publish=OuterRef("publish"), kind__in=PEOPLES_KINDS)
        .order_by("-generation")
        .values("generation")[:1]
    )
    # Of what the system did since, the newest alone matters; there may be many syncs.
    generations = Q(generation=Subquery(newest_asked)) | Q(generation=F("publish__generation"))
    rows = Operation.objects.visible_to(actor).filter(
        generations, publish_id=publish_id, publish__deleted_at=None
    )
    rows = rows.order_by("generation").select_related(*(f"publish__{name}" for name in PLACE))
    operations = list(rows.defer("spec").annotate(**facts(actor.tenant_id, "publish__")))
    asked = next((row for row in operations if row.kind in PEOPLES_KINDS), None)
    newest = operations[-1] if operations else None
    mine = ProductPublish.objects.select_related(*PLACE).annotate(**facts(actor.tenant_id))
    publish = newest.publish if newest else mine.one_for(actor, publish_id)
    return Live(
        publish=publish,
        operation=asked,
        following=newest if newest is not asked else None,
        agents=agents_of(publish, asked=asked, newest=newest),
        **facts_on(newest or publish),
    )


def deployed_spec_of(publish: ProductPublish) -> Spec | None:
    """What the gateways were last given while the publish is PUBLISHED; None otherwise. One query."""
    return deployed_specs_of([publish]).get(publish.pk)


def deployed_specs_of(publishes: Sequence[ProductPublish]) -> dict[UUID, Spec]:
    """What the gateways were last given, of those that are PUBLISHED. One query, none when nothing is."""
    live = [publish.pk for publish in publishes if publish.status == Status.PUBLISHED]
    done = Operation.objects.filter(
        publish=OuterRef("pk"), phase=Phase.SUCCEEDED, kind__in=DEPLOYING_KINDS
    ).order_by("-generation")
    newest = ProductPublish.objects.filter(pk__in=live).values_list(
        "pk", Subquery(done.values("spec")[:1])
    )  # there may be many syncs
    return (
        {publish_id: Spec.model_validate(spec) for publish_id, spec in newest if spec is not None}
        if live
        else {}
    )


def with_deliveries(operation: Operation) -> Operation:
    """The same row with its deliveries and their agents read. One query."""
    prefetch_related_objects([operation], _DELIVERIES)
    return operation


def operation_of(actor: Actor, operation_id: UUID) -> Operation:
    """An operation with its deliveries; those of deleted publishes stay readable. Raises NotFound."""
    rows = Operation.objects.visible_to(actor).select_related("publish").prefetch_related(_DELIVERIES)
    found = rows.filter(pk=operation_id).first()
    if found is None:
        raise NotFound
    return found


def operations_of(actor: Actor, *, is_open: bool | None = None, **exact: Any) -> QuerySet[Operation]:
    """The tenant's operations with their deliveries, newest first; those of deleted publishes too. Two queries."""
    rows = (
        Operation.objects.visible_to(actor)
        .filter(**exact)
        .order_by("-created_at", "pk")
        .prefetch_related(_DELIVERIES)
        .defer("spec")
    )
    if is_open is None:
        return rows
    return rows.filter(phase__in=OPEN_PHASES) if is_open else rows.exclude(phase__in=OPEN_PHASES)
