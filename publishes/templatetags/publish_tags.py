"""Template tags of publishes; pages of lower apps show publishes through these."""

from typing import Any

from django import template
from django.utils.translation import gettext

from products.models import Product
from publishes import selectors
from tenants.actors import Actor

register = template.Library()


@register.inclusion_tag("publishes/_board.html")
def publish_board(actor: Actor, product: Product) -> dict[str, Any]:
    """배포 현황: the product's publishes by environment. One query."""
    columns = selectors.by_environment(selectors.publishes_of(actor, product))
    return {
        "actor": actor,
        "product": product,
        "columns": columns,
        "deployed": sum(column.is_deployed for column in columns),
        "is_empty": not any(column.publishes for column in columns),
    }


@register.filter
def translated(text: str) -> str:
    """A stored sentence of ours in the reader's language; the agents' own words stay as they are."""
    return gettext(text) if text else ""
