"""Health for machines: `/livez` says that the process answers, `/readyz` that it can do its work."""

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse


def livez(_request: HttpRequest) -> JsonResponse:
    """200 while the process answers; asks nobody."""
    return JsonResponse({"status": "ok"})


def readyz(_request: HttpRequest) -> JsonResponse:
    """200 when the database answers, 503 otherwise. The broker is not asked: no answer of ours needs it."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse({"status": "unavailable", "database": "does not answer"}, status=503)
    return JsonResponse({"status": "ok", "database": "ok"})
