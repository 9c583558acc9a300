"""Tags of the frame in templates/frame/base.html."""

from typing import Any

from django import template
from django.conf import settings
from django.template.context import Context
from django.urls import reverse

from core import pulse
from core.pages.frame import theme_of
from core.problems import Text

register = template.Library()


@register.simple_tag(takes_context=True)
def theme(context: Context) -> str:
    """ "light", "dark" or nothing; works on pages that have no request too."""
    return theme_of(context.get("request"))


@register.simple_tag
def documentation_url() -> str:
    """The URL of the JSON API's documentation, which belongs to an upper app."""
    return reverse("api:openapi-view")


@register.simple_tag
def background_silence() -> Text:
    """The warning while worker or beat have stopped, else empty.

    One query every few seconds, not per page.
    """
    return pulse.STOPPED if pulse.watch.is_silent() else ""


@register.inclusion_tag("components/navigation.html", takes_context=True)
def navigation(context: Context) -> dict[str, Any]:
    """The links of the main navigation, each with its `aria-current`.

    A person without a workspace (`request.actor` is None) gets no links.
    """
    request = context["request"]
    if getattr(request, "actor", request) is None:
        return {"entries": []}
    entries = []
    for entry in settings.NAVIGATION:
        url = reverse(entry.name)
        entries.append({"entry": entry, "url": url, "current": _current(request.path, url)})
    return {"entries": entries}


def _current(path: str, url: str) -> str:
    """The value of aria-current: "page" for the page itself, "true" for a page below it, else empty."""
    if path == url:
        return "page"
    return "true" if path.startswith(f"{url.rstrip('/')}/") else ""
