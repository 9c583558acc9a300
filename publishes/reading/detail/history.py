"""The history of a publish, line by line and by page. Reads only."""

from dataclasses import dataclass

from django.db.models import Exists, OuterRef
from django.db.models.query import QuerySet

from publishes.choices import ENDED_EVENTS, REQUEST_EVENTS
from publishes.models import ProductPublish, PublishEvent

EVENTS_PER_PAGE = 20


@dataclass(frozen=True, kw_only=True)
class History:
    """One page of a publish's history, newest first. `older` is the number of the next page, if any."""

    events: tuple[PublishEvent, ...]
    number: int = 1
    older: int | None = None


def timeline_of(publish: ProductPublish) -> QuerySet[PublishEvent]:
    """The history of a publish, newest first, each line with its operation but for the spec."""
    return publish.events.select_related("operation").defer("operation__spec")


def history_of(publish: ProductPublish, *, number: int = 1) -> History:
    """A page of the history; 20 lines each. One query.

    An ended operation is one line, with the time of its request; while it is open, its request is the line.
    """
    start = (number - 1) * EVENTS_PER_PAGE
    ended = PublishEvent.objects.filter(operation=OuterRef("operation"), kind__in=ENDED_EVENTS)
    lines = timeline_of(publish).exclude(Exists(ended), kind__in=REQUEST_EVENTS)
    rows = list(lines[start : start + EVENTS_PER_PAGE + 1])
    return History(
        events=tuple(rows[:EVENTS_PER_PAGE]),
        number=number,
        older=number + 1 if len(rows) > EVENTS_PER_PAGE else None,
    )
