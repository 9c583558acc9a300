"""Pages of products."""

from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from products import selectors
from tenants.actors import Actor
from tenants.doors import actor_page

PER_PAGE = 25


@actor_page
def index(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The tenant's products."""
    page = Paginator(selectors.products_of(actor), PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "products/index.html", {"page": page, "actor": actor})


@actor_page
def detail(request: HttpRequest, actor: Actor, product_id: UUID) -> HttpResponse:
    """One product with its services; its publishes come from the app above, by inclusion tag."""
    product = selectors.product_of(actor, product_id)
    return render(request, "products/detail.html", {"product": product, "services": selectors.services_of(product), "actor": actor})
