"""Tags of the frame in templates/frame/base.html."""

from typing import Any

from django import template
from django.template.context import Context
from django.urls import reverse

from core import pulse
from core.pages.frame import NAVIGATION, theme_of
from core.problems import Text

register = template.Library()


@register.simple_tag(takes_context=True)
def theme(context: Context) -> str:
    """ "light", "dark" or nothing; works on pages that have no request too."""
    return theme_of(context.get("request"))


@register.simple_tag
def documentation_url() -> str:
    """Where the JSON API is described; it stands above every app whose pages lead there."""
    return reverse("api:openapi-view")


@register.simple_tag
def background_silence() -> Text:
    """What to say while worker or beat have stopped, nothing while all is well; a query every few seconds, not per page."""
    return pulse.STANDS_STILL if pulse.watch.is_silent() else ""


@register.inclusion_tag("components/navigation.html", takes_context=True)
def navigation(context: Context) -> dict[str, Any]:
    """The links of the main navigation; one is marked when the page is that one ("page") or below it ("true").

    None for a person without a workspace (`request.actor` is None): none of them would lead anywhere.
    """
    request = context["request"]
    if getattr(request, "actor", request) is None:
        return {"entries": []}
    path = request.path
    urls = {entry: reverse(entry.name) for entry in NAVIGATION}
    return {
        "entries": [
            {
                "entry": entry,
                "url": url,
                "current": "page" if path == url else "true" if _is_below(path, url) else "",
            }
            for entry, url in urls.items()
        ]
    }


def _is_below(path: str, url: str) -> bool:
    return path.startswith(f"{url.rstrip('/')}/")
