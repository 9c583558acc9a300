"""The frame around every page: the theme (in a cookie, so that the first paint is right), and who asks."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

THEMES = frozenset({"light", "dark"})
COOKIE = "theme"
YEAR_S = 31_536_000


def theme_of(request: HttpRequest | None) -> str:
    """ "light" or "dark" as chosen; empty when the system decides."""
    chosen = request.COOKIES.get(COOKIE, "") if request is not None else ""
    return chosen if chosen in THEMES else ""


def is_htmx(request: HttpRequest) -> bool:
    """Whether htmx sent the request, and not a link or form."""
    return request.headers.get("HX-Request") == "true"


def path_of(target: str, request: HttpRequest) -> str:
    """The target if it is on this site; empty for any other site (no open redirects)."""
    is_ours = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return target if is_ours else ""


@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """Store the theme in the cookie and go back; app.js does the same without a request."""
    response = HttpResponseRedirect(path_of(request.POST.get("next", ""), request) or "/")
    chosen = request.POST.get("theme", "")
    return keep_preferences(response, language="", theme=chosen)


def keep_preferences(response: HttpResponse, *, language: str, theme: str) -> HttpResponse:
    """Store language and theme in this browser's cookies; an empty value changes nothing."""
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
