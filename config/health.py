"""Health for machines: `/livez` says that the process answers, `/readyz` that it can do its work."""

from django.db import Error
from django.http import HttpRequest, JsonResponse

from core import pulse
from core.postgres.base import patience

READY_S = 2.0


def livez(_request: HttpRequest) -> JsonResponse:
    """200 while the process answers; asks nobody."""
    return JsonResponse({"status": "ok"})


def readyz(_request: HttpRequest) -> JsonResponse:
    """200 when the database answers and the background work goes on, 503 otherwise. The broker is not asked: no answer of ours needs it."""
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
                "background": "silent: is one beat and at least one worker running?",
            },
            status=503,
        )
    return JsonResponse({"status": "ok", "database": "ok", "background": "ok"})
