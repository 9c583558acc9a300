"""Queries of products and API services."""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Count, Exists, OuterRef
from django.db.models.query import QuerySet

from products.models import ApiService, Product, ProductService
from tenants.actors import Actor

LINKABLE = 500
"""The most services that a product's dialog offers."""


def products_of(actor: Actor) -> QuerySet[Product]:
    """The tenant's products by name and version."""
    return Product.objects.visible_to(actor)


def with_service_count(products: QuerySet[Product]) -> QuerySet[Product]:
    """Adds `service_count`."""
    return products.annotate(service_count=Count("links")).order_by("name", "version", "pk")


def product_of(actor: Actor, product_id: UUID) -> Product:
    """A product of the actor's tenant. Raises NotFound."""
    return Product.objects.get_for(actor, product_id)


def services_of(product: Product) -> QuerySet[ApiService]:
    """The linked services by name, with all their routes. Two queries."""
    return product.services.order_by("name").prefetch_related("routes")


def api_services_of(actor: Actor) -> QuerySet[ApiService]:
    """The tenant's API services by name."""
    return ApiService.objects.visible_to(actor)


def with_counts(services: QuerySet[ApiService]) -> QuerySet[ApiService]:
    """Adds `route_count` and `product_count`."""
    counts = {"route_count": Count("routes", distinct=True), "product_count": Count("links", distinct=True)}
    return services.annotate(**counts).order_by("name")


def linkable_services(actor: Actor, product: Product) -> list[ApiService]:
    """The tenant's services with `is_linked`, the linked ones first. One query."""
    linked = Exists(ProductService.objects.filter(product=product, service=OuterRef("pk")))
    rows = ApiService.objects.visible_to(actor).annotate(is_linked=linked, route_count=Count("routes"))
    return list(rows.order_by("-is_linked", "name")[:LINKABLE])


def requested_services(actor: Actor, ids: Iterable[str]) -> list[ApiService]:
    """The tenant's services with these ids; invalid and unknown ids are left out. One query at most."""
    requested_ids = [UUID(text) for text in ids if _is_id(text)]
    return list(ApiService.objects.visible_to(actor).filter(pk__in=requested_ids)) if requested_ids else []


def service_of(actor: Actor, service_id: UUID) -> ApiService:
    """An API service of the actor's tenant. Raises NotFound."""
    return ApiService.objects.get_for(actor, service_id)


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
