"""Which publishes need a product, an API service or a gateway: the answers to `core.usage`."""

from django.db.models import Exists, Model, OuterRef
from django.db.models.query import QuerySet
from django.urls import reverse

from core.usage import Hold, Use
from gateways.models import Gateway
from products.models import ApiService, Product
from publishes.choices import DEPLOYING_KINDS, OPEN_PHASES, Kind, Phase, Status
from publishes.models import Operation, ProductPublish


def uses_of(record: Model) -> list[Use]:
    """Publishes that need the record, deleted ones included. One query; none for other models."""
    if isinstance(record, Product):
        return _uses(ProductPublish.objects.filter(product=record))
    if isinstance(record, Gateway):
        return _uses(ProductPublish.objects.filter(gateway=record))
    if isinstance(record, ApiService):
        return _uses(ProductPublish.objects.filter(pk__in=operations_carrying(record).values("publish")))
    return []


def operations_carrying(service: ApiService) -> QuerySet[Operation]:
    """The operations that bring the service to publishes that are or will be live with it; newest first."""
    same_tenant = Operation.objects.filter(
        publish__tenant=service.tenant_id, publish__deleted_at=None, kind__in=DEPLOYING_KINDS
    )
    newer = Operation.objects.filter(
        publish=OuterRef("publish"),
        kind__in=DEPLOYING_KINDS,
        phase=Phase.SUCCEEDED,
        generation__gt=OuterRef("generation"),
    )
    deployed = same_tenant.filter(publish__status=Status.PUBLISHED, phase=Phase.SUCCEEDED)
    current = deployed.exclude(Exists(newer)) | same_tenant.filter(phase__in=OPEN_PHASES)
    return current.filter(spec__services__contains=[{"id": str(service.pk)}]).order_by("-created_at")


def _uses(publishes: QuerySet[ProductPublish]) -> list[Use]:
    open_publish = Operation.objects.filter(publish=OuterRef("pk"), kind=Kind.PUBLISH, phase__in=OPEN_PHASES)
    rows = publishes.select_related("product", "cluster").annotate(is_publishing=Exists(open_publish))
    return [_use(publish, is_publishing=bool(publish.is_publishing)) for publish in rows]


def _use(publish: ProductPublish, *, is_publishing: bool) -> Use:
    hold = Hold.LIVE if publish.status == Status.PUBLISHED or is_publishing else Hold.RESTING
    if publish.deleted_at:
        return Use(name=publish.hostname_base, hold=Hold.HISTORY, cluster_id=publish.cluster_id)
    name = f"{publish.product} · {publish.get_environment_display()} · {publish.cluster}"
    return Use(
        name=name,
        hold=hold,
        url=reverse("publishes:detail", args=[publish.product_id, publish.pk]),
        cluster_id=publish.cluster_id,
    )
