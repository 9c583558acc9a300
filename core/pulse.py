"""Whether the background work goes on: the sweep leaves its time in the database, and pages and readiness look at it."""

import time
from datetime import timedelta

from django.conf import settings
from django.db import Error
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from core.models import Pulse

SWEEP = "sweep"
STANDS_STILL = _(
    "The background work stands still, so nothing is sent to the agents now. What is live stays live, and what was asked for goes on as soon as it runs again."
)
GLANCE_S = 3.0
"""How long a page believes what was seen last, so that pages do not cost a query each."""


def beat() -> None:
    """The sweep has gone through: beat and worker are both alive, and do their work. One query."""
    if not Pulse.objects.filter(pk=SWEEP).update(beat_at=Now()):
        Pulse.objects.update_or_create(pk=SWEEP, defaults={"beat_at": Now()})


def is_silent() -> bool:
    """Whether the last sweep is longer ago than SILENT_S, or there was none. One query."""
    return not Pulse.objects.filter(
        pk=SWEEP, beat_at__gt=Now() - timedelta(seconds=settings.SILENT_S)
    ).exists()


class _Watch:
    """What this process saw last."""

    def __init__(self) -> None:
        self.seen, self.until = False, 0.0

    def is_silent(self) -> bool:
        if time.monotonic() >= self.until:
            self.seen, self.until = _looked(), time.monotonic() + GLANCE_S
        return self.seen


def _looked() -> bool:
    try:
        return is_silent()
    except Error:  # the page has worse to say, and must be shown
        return False


watch = _Watch()


@require_GET
def banner(request: HttpRequest) -> HttpResponse:
    """The banner alone, fetched every few seconds by open pages; it says nothing while all is well."""
    return render(request, "frame/_system.html")
