"""Template tags of products and API services."""

from collections.abc import Sequence

from django import template
from django.utils.safestring import SafeString

from core.templatetags.ui import badge
from products.catalogue.upstream_urls import UpstreamUrl
from products.models import METHODS, ApiService, Product

register = template.Library()

_TONES = {Product.Status.DRAFT: "grey", Product.Status.ACTIVE: "green", Product.Status.ARCHIVED: "amber"}


@register.simple_tag
def product_badge(product: Product) -> SafeString:
    """The status badge; its dot is hollow unless the product is active."""
    return badge(
        product.get_status_display(),
        _TONES[Product.Status(product.status)],
        "" if product.status == Product.Status.ACTIVE else "hollow",
    )


@register.simple_tag
def service_badge(service: ApiService) -> SafeString:
    """The status badge; its dot is hollow unless the service is active."""
    is_active = service.status == ApiService.Status.ACTIVE
    return badge(
        service.get_status_display(), "green" if is_active else "grey", "" if is_active else "hollow"
    )


@register.inclusion_tag("products/services/_methods.html")
def route_methods(names: Sequence[str]) -> dict[str, list[str]]:
    """HTTP methods of a route in the order people are used to; none means all."""
    return {"methods": sorted(names, key=METHODS.index)}


@register.filter
def everything_below(path: str) -> str:
    """`/billing/*`: a route matches its path and everything below it."""
    return f"{path.rstrip('/')}/*"


@register.filter
def upstream_url(service: ApiService) -> str:
    """`http://billing-upstream:8080/base`."""
    return str(UpstreamUrl.of(service))
