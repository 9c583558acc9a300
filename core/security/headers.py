"""Headers of every response: nothing is cached, and no other site may embed it."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

_ALWAYS = {
    "Cache-Control": "no-store",  # static files set their own
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(
        f"{name}=()" for name in ("camera", "display-capture", "geolocation", "microphone", "payment", "usb")
    ),
}


class HeadersMiddleware:
    """Adds the headers that a response does not set itself."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        for name, value in _ALWAYS.items():
            response.headers.setdefault(name, value)
        return response
