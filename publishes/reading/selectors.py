"""Reads: what pages, the API and agents are told about publishes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Prefetch, Q, Subquery, prefetch_related_objects
from django.db.models.query import QuerySet

from agent.protocol.spec import Spec
from clusters.models import open_to
from core.pages.live import version_of
from core.problems import NotFound
from products.models import Product
from publishes.choices import (
    DEPLOYING_KINDS,
    OPEN_PHASES,
    PEOPLES_KINDS,
    Kind,
    Phase,
    Status,
)
from publishes.models import Delivery, Operation, ProductPublish
from publishes.reading.board import AgentRow, agents_of
from publishes.reading.silence import silent
from tenants.actors import Actor

_PLACE = ("product", "cluster", "gateway")
_DELIVERIES = Prefetch("deliveries", queryset=Delivery.objects.select_related("agent"))


@dataclass(frozen=True, kw_only=True)
class Live:
    """What is going on with a publish now.

    `operation` is the last one that a person asked for; `following` is what the system did after it (going back), if anything.
    `is_place_open`: whether operators let the tenant use its cluster. `agents` are those of it, each with how far it is with the newest of the two.
    """

    publish: ProductPublish
    operation: Operation | None = None
    following: Operation | None = None
    agents: tuple[AgentRow, ...] = ()
    is_place_open: bool = True

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
    def is_asked(self) -> bool:
        """Whether a person's operation is open; another one is refused until it has closed."""
        return self.operation is not None and self.operation.is_open

    @property
    def is_cancellable(self) -> bool:
        """Whether a person may stop what is going on: only a publish goes back."""
        return self.is_asked and self.asked_kind == Kind.PUBLISH

    @property
    def asked_kind(self) -> str:
        """The verb that a person asked for last; empty before the first."""
        return self.operation.kind if self.operation else ""

    @property
    def is_cancelled(self) -> bool:
        """Whether the last thing asked for was stopped by a person, and nothing was asked for since."""
        return self.operation is not None and self.operation.phase == Phase.CANCELLED

    @property
    def has_failed(self) -> bool:
        """Whether the last thing asked for failed, and nothing was done since."""
        return self.operation is not None and self.operation.phase == Phase.FAILED

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
    return ProductPublish.objects.select_related(*_PLACE).one_for(actor, publish_id)


def publishes_of(actor: Actor, product: Product) -> QuerySet[ProductPublish]:
    """The publishes of one product, newest first."""
    return ProductPublish.objects.visible_to(actor).filter(product=product).select_related(*_PLACE)


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
    rows = rows.order_by("generation").select_related(*(f"publish__{name}" for name in _PLACE))
    operations = list(
        rows.defer("spec").annotate(is_place_open=open_to(actor.tenant_id, "publish__cluster__"))
    )
    if not operations:
        mine = ProductPublish.objects.select_related(*_PLACE).annotate(
            is_place_open=open_to(actor.tenant_id, "cluster__")
        )
        publish = mine.one_for(actor, publish_id)
        return Live(
            publish=publish,
            agents=agents_of(publish, asked=None, newest=None),
            is_place_open=_is_place_open(publish),
        )
    asked, newest = operations[0], operations[-1]
    agents = agents_of(asked.publish, asked=asked, newest=newest)
    return Live(
        publish=asked.publish,
        operation=asked,
        following=newest if newest is not asked else None,
        agents=agents,
        is_place_open=_is_place_open(asked),
    )


def _is_place_open(row: Operation | ProductPublish) -> bool:
    return bool(getattr(row, "is_place_open"))  # noqa: B009 - annotated


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
    return (
        rows
        if is_open is None
        else rows.filter(phase__in=OPEN_PHASES)
        if is_open
        else rows.exclude(phase__in=OPEN_PHASES)
    )
