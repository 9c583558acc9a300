"""The frame around every page: its navigation, and light or dark (kept in a cookie, so that the first paint is right)."""

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.functional import Promise
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

THEMES = frozenset({"light", "dark"})
COOKIE = "theme"
YEAR_S = 31_536_000


@dataclass(frozen=True, kw_only=True)
class NavigationEntry:
    """A link of the main navigation: the name of its URL, its picture, its text."""

    name: str
    picture: str
    text: str | Promise


NAVIGATION = (
    NavigationEntry(name="products:list", picture="package", text=_("Products")),
    NavigationEntry(name="overview:list", picture="rocket", text=_("Overview")),
    NavigationEntry(name="services:list", picture="plug", text=_("API services")),
    NavigationEntry(name="gateways:list", picture="network", text=_("Gateways")),
    NavigationEntry(name="clusters:list", picture="server", text=_("Clusters")),
)


def theme_of(request: HttpRequest | None) -> str:
    """ "light" or "dark" as chosen; empty when the system decides."""
    chosen = request.COOKIES.get(COOKIE, "") if request is not None else ""
    return chosen if chosen in THEMES else ""


def is_htmx(request: HttpRequest) -> bool:
    """Whether a script of the page asks, and not a person by a link or form."""
    return request.headers.get("HX-Request") == "true"


def path_of(target: str, request: HttpRequest) -> str:
    """Where somebody may be led who named this place: on this site alone; empty for any other."""
    return (
        target
        if url_has_allowed_host_and_scheme(
            target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
        )
        else ""
    )


@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """Keep the choice and go back; app.js does the same without a request."""
    response = HttpResponseRedirect(path_of(request.POST.get("next", ""), request) or "/")
    chosen = request.POST.get("theme", "")
    return keep_preferences(response, language="", theme=chosen)


def keep_preferences(response: HttpResponse, *, language: str, theme: str) -> HttpResponse:
    """This browser shows pages in that language and theme from now on; empty ones change nothing here."""
    if language:
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            language,
            max_age=YEAR_S,
            samesite="Lax",
            secure=settings.SESSION_COOKIE_SECURE,
        )
    if theme in THEMES:
        response.set_cookie(
            COOKIE, theme, max_age=YEAR_S, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE
        )
    return response
