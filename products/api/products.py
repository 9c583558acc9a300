"""The JSON API of products: fields, services and status."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import Field

from core.api.paging import PageIn, page_of
from core.api.versions import IfMatch, mark, mark_new, merging, require_match
from core.pages.searching import SearchText, text_filter
from products.api.schemas import ProductIn, ProductOut
from products.catalogue import products, selectors
from products.forms import checked_product
from products.models import Product
from tenants.api.callers import actor_of

router = Router(tags=["products"])


class ProductFilters(Schema):
    """The filters of the list."""

    status: Product.Status | None = None
    q: SearchText = Field("", description="Searched in the name.")


@router.get("/products", response=list[ProductOut], summary="Products")
def list_products(
    request: HttpRequest, response: HttpResponse, filters: Query[ProductFilters], paging: Query[PageIn]
) -> list[ProductOut]:
    """By name and version."""
    rows = (
        Product.objects.visible_to(actor_of(request))
        .filter(text_filter(filters.q, "name"))
        .prefetch_related("links")
    )
    chosen = rows.filter(status=filters.status) if filters.status else rows
    return [ProductOut.of(product) for product in page_of(request, response, rows=chosen, paging=paging)]


@router.post("/products", response={201: ProductOut}, summary="Create a product")
def create_product(request: HttpRequest, response: HttpResponse, body: ProductIn) -> Status[ProductOut]:
    """A draft: link services to it and activate it, then it can be published."""
    actor = actor_of(request)
    actor.require_write()
    values = _values(body)
    linked = values.pop("api_services", ())
    product = products.create_product(actor, fields=checked_product(values), service_ids=linked)
    return Status(201, ProductOut.of(mark_new(request, response, product, at="api:get_product")))


@router.get("/products/{uuid:product_id}", response=ProductOut, summary="One product")
def get_product(request: HttpRequest, response: HttpResponse, product_id: UUID) -> ProductOut:
    """With the ids of its API services."""
    return ProductOut.of(mark(response, selectors.product_of(actor_of(request), product_id)))


@router.put("/products/{uuid:product_id}", response=ProductOut, summary="Change a product")
@merging
def update_product(
    request: HttpRequest,
    response: HttpResponse,
    *,
    product_id: UUID,
    body: ProductIn,
    if_match: IfMatch = None,
) -> ProductOut:
    """Live publishes change only when published again. With If-Match: 412 after another change."""
    actor = actor_of(request)
    product = selectors.product_of(actor, product_id)
    actor.require_write()
    require_match(product, if_match)
    values = _values(body)
    linked = values.pop("api_services", None)
    fields = checked_product(values, product=product)
    changed = products.update_product(
        actor, product_id, fields=fields, service_ids=linked, revision=product.revision
    )
    return ProductOut.of(mark(response, changed))


@router.delete("/products/{uuid:product_id}", response={204: None}, summary="Delete a product")
def delete_product(request: HttpRequest, product_id: UUID) -> Status[None]:
    """A draft that was never published; 409 otherwise."""
    products.delete_product(actor_of(request), product_id)
    return Status(204, None)


@router.post("/products/{uuid:product_id}/activate", response=ProductOut, summary="Activate a draft")
def activate_product(request: HttpRequest, response: HttpResponse, product_id: UUID) -> ProductOut:
    """An active product can be published. Needs an API service."""
    return ProductOut.of(mark(response, products.activate(actor_of(request), product_id)))


@router.post(
    "/products/{uuid:product_id}/deactivate",
    response=ProductOut,
    summary="Make an active product a draft again",
)
def deactivate_product(request: HttpRequest, response: HttpResponse, product_id: UUID) -> ProductOut:
    """409 while a publish of it is live or going live."""
    return ProductOut.of(mark(response, products.deactivate(actor_of(request), product_id)))


@router.post("/products/{uuid:product_id}/archive", response=ProductOut, summary="Archive a product for good")
def archive_product(request: HttpRequest, response: HttpResponse, product_id: UUID) -> ProductOut:
    """Live publishes stay live, and can only be withdrawn."""
    return ProductOut.of(mark(response, products.archive(actor_of(request), product_id)))


def _values(body: ProductIn) -> dict[str, Any]:
    return body.model_dump(exclude_none=True)
