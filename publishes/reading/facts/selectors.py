"""Publishes, operations and deployed specs, each read for one actor. Reads only."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, Prefetch, Subquery, prefetch_related_objects
from django.db.models.query import QuerySet

from agent.protocol.spec import Spec
from core.problems import NotFound
from products.models import Product
from publishes.choices import DEPLOYING_KINDS, OPEN_PHASES, Phase, Status
from publishes.models import Delivery, Operation, ProductPublish
from publishes.reading.facts.situation import PLACE
from tenants.actors import Actor

_DELIVERIES = Prefetch("deliveries", queryset=Delivery.objects.select_related("agent"))


def tombstone_of(actor: Actor, publish_id: UUID) -> ProductPublish:
    """A deleted publish of the actor's tenant. Raises NotFound."""
    tombstone = ProductPublish.objects.tombstones_visible_to(actor).filter(pk=publish_id).first()
    if tombstone is None:
        raise NotFound
    return tombstone


def publish_of(actor: Actor, publish_id: UUID) -> ProductPublish:
    """A publish of the actor's tenant with product, cluster and gateway. Raises NotFound."""
    return ProductPublish.objects.select_related(*PLACE).get_for(actor, publish_id)


def publishes_of(actor: Actor, product: Product) -> QuerySet[ProductPublish]:
    """The publishes of one product, newest first."""
    return ProductPublish.objects.visible_to(actor).filter(product=product).select_related(*PLACE)


def deployed_spec_of(publish: ProductPublish) -> Spec | None:
    """The spec that the gateways got last while the publish is PUBLISHED; None otherwise. One query."""
    return deployed_specs_of([publish]).get(publish.pk)


def deployed_specs_of(publishes: Sequence[ProductPublish]) -> dict[UUID, Spec]:
    """For each PUBLISHED publish, the spec that its gateways got last. One query, or none."""
    published = [publish.pk for publish in publishes if publish.status == Status.PUBLISHED]
    if not published:
        return {}
    # A subquery reads one spec of each publish; a publish may have many syncs.
    deployed = Operation.objects.filter(
        publish=OuterRef("pk"), phase=Phase.SUCCEEDED, kind__in=DEPLOYING_KINDS
    ).order_by("-generation")
    newest = ProductPublish.objects.filter(pk__in=published).values_list(
        "pk", Subquery(deployed.values("spec")[:1])
    )
    return {publish_id: Spec.model_validate(spec) for publish_id, spec in newest if spec is not None}


def with_deliveries(operation: Operation) -> Operation:
    """The same row with its deliveries and their agents read. One query."""
    prefetch_related_objects([operation], _DELIVERIES)
    return operation


def operation_of(actor: Actor, operation_id: UUID) -> Operation:
    """An operation with its deliveries; those of deleted publishes stay readable. Raises NotFound."""
    rows = Operation.objects.visible_to(actor).select_related("publish").prefetch_related(_DELIVERIES)
    operation = rows.filter(pk=operation_id).first()
    if operation is None:
        raise NotFound
    return operation


def operations_of(actor: Actor, *, is_open: bool | None = None, **filters: Any) -> QuerySet[Operation]:
    """The tenant's operations with their deliveries, newest first; of deleted publishes too. Two queries."""
    rows = (
        Operation.objects.visible_to(actor)
        .filter(**filters)
        .order_by("-created_at", "pk")
        .prefetch_related(_DELIVERIES)
        .defer("spec")
    )
    if is_open is None:
        return rows
    return rows.filter(phase__in=OPEN_PHASES) if is_open else rows.exclude(phase__in=OPEN_PHASES)
