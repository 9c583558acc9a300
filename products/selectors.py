"""Reads of products."""

from uuid import UUID

from django.db.models.query import QuerySet

from core.problems import NotFound
from products.models import ApiService, Product
from tenants.actors import Actor


def products_of(actor: Actor) -> QuerySet[Product]:
    """The tenant's products by name and version."""
    return Product.objects.visible_to(actor)


def product_of(actor: Actor, product_id: UUID) -> Product:
    """A product of the actor's tenant. Raises NotFound."""
    found = Product.objects.visible_to(actor).filter(pk=product_id).first()
    if found is None:
        raise NotFound
    return found


def services_of(product: Product) -> QuerySet[ApiService]:
    """The linked services by name, with all their routes. Two queries."""
    return product.services.order_by("name").prefetch_related("routes")


def api_services_of(actor: Actor) -> QuerySet[ApiService]:
    """The tenant's API services by name."""
    return ApiService.objects.visible_to(actor)


def service_of(actor: Actor, service_id: UUID) -> ApiService:
    """An API service of the actor's tenant. Raises NotFound."""
    found = ApiService.objects.visible_to(actor).filter(pk=service_id).first()
    if found is None:
        raise NotFound
    return found
