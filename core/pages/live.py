"""Parts of a page that refresh themselves: they poll with the version that they show; 204 says it is current.

A part is a template with one root that has an id, and a URL of its own:
`hx-get="{% url … %}?seen={{ version }}" hx-trigger="every {{ poll_s }}s" hx-swap="outerHTML"
hx-sync="this:drop"`.
"""

import hashlib
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from core.pages.frame import is_htmx

BUSY_S, REST_S = 2, 10
"""How often a part polls while work is going on, and otherwise."""


def version_of(*shown: object) -> str:
    """A short hash over everything that a part shows."""
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:12]


def part(
    request: HttpRequest, template: str, context: dict[str, Any], *, version: str, page: str
) -> HttpResponse:
    """The part, or 204 when `?seen=` is current. A person who opens the URL is redirected to the page."""
    if request.GET.get("seen") == version:
        return HttpResponse(status=204)
    return render(request, template, context) if is_htmx(request) else redirect(page)
