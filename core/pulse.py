"""The pulse of the background work: the sweep stores its time; pages and readiness read it."""

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
STOPPED = _(
    "The background work has stopped, so nothing is sent to the agents now. What is live stays live. "
    "Requested work goes on as soon as it runs again."
)
GLANCE_S = 3.0
"""How long a page uses the last result, so that not every page costs a query."""


def beat() -> None:
    """Store the time of a completed sweep: beat and worker are alive. One query."""
    if not Pulse.objects.filter(pk=SWEEP).update(beat_at=Now()):
        Pulse.objects.update_or_create(pk=SWEEP, defaults={"beat_at": Now()})


def is_silent() -> bool:
    """Whether the last sweep is older than SILENT_S, or there was none. One query."""
    return not Pulse.objects.filter(
        pk=SWEEP, beat_at__gt=Now() - timedelta(seconds=settings.SILENT_S)
    ).exists()


class _Watch:
    """The last result of this process, for GLANCE_S seconds."""

    def __init__(self) -> None:
        self.was_silent, self.until = False, 0.0

    def is_silent(self) -> bool:
        if time.monotonic() >= self.until:
            self.was_silent, self.until = _read(), time.monotonic() + GLANCE_S
        return self.was_silent


def _read() -> bool:
    try:
        return is_silent()
    except Error:  # the page must be shown; it reports the database itself
        return False


watch = _Watch()


@require_GET
def banner(request: HttpRequest) -> HttpResponse:
    """The banner, polled by open pages every few seconds; empty while the background work runs."""
    return render(request, "frame/_system.html")
