"""Tags of the frame in templates/base.html."""

from typing import Any

from django import template
from django.template.context import Context
from django.urls import reverse

from core.frame import theme_of

register = template.Library()


@register.simple_tag(takes_context=True)
def theme(context: Context) -> str:
    """ "light", "dark" or nothing; works on pages that have no request too."""
    return theme_of(context.get("request"))


@register.inclusion_tag("components/nav_link.html", takes_context=True)
def nav_link(context: Context, name: str, picture: str, text: str) -> dict[str, Any]:
    """A link of the main navigation, marked when the page is that one ("page") or below it ("true")."""
    url, path = reverse(name), context["request"].path
    current = "page" if path == url else "true" if path.startswith(url) else ""
    return {"url": url, "picture": picture, "text": text, "current": current}
