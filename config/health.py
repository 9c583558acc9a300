"""Health checks: `/livez` when the process answers, `/readyz` when it can work."""

from django.db import Error
from django.http import HttpRequest, JsonResponse

from core import pulse
from core.postgres.base import patience

READY_S = 2.0


def livez(_request: HttpRequest) -> JsonResponse:
    """200 while the process answers."""
    return JsonResponse({"status": "ok"})


def readyz(_request: HttpRequest) -> JsonResponse:
    """200 when the database answers and the background work runs, else 503. No answer needs the broker."""
    try:
        with patience(READY_S):
            is_silent = pulse.is_silent()
    except Error:
        return JsonResponse({"status": "unavailable", "database": "does not answer"}, status=503)
    if is_silent:
        return JsonResponse(
            {
                "status": "unavailable",
                "database": "ok",
                "background": "silent: are beat and at least one worker running?",
            },
            status=503,
        )
    return JsonResponse({"status": "ok", "database": "ok", "background": "ok"})
