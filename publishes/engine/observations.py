"""Observations: what each agent last said it carries. Only this module writes them; it decides nothing."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from operator import attrgetter

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from agent.protocol.messages import Absence, Carried, Report
from clusters.models import Agent
from publishes.choices import Desired
from publishes.engine.expectations import covered_by
from publishes.models import Observation, Operation

_REPORTED_FIELDS = ("generation", "digest", "state", "verified")


def observe(agent: Agent, carried: Iterable[Carried], *, page: Report) -> None:
    """Keep what a page of a report says of known publishes; forget those that the page covers but omits.

    Only changes are written. Three queries at most.
    """
    latest = {row.publish_id: row for row in carried}
    stored = {
        row.publish_id: tuple(getattr(row, name) for name in _REPORTED_FIELDS)
        for row in Observation.objects.filter(covered_by(page, "publish_id"), agent=agent)
    }
    now = timezone.now()
    changed = [
        Observation(
            agent=agent,
            publish_id=row.publish_id,
            observed_at=now,
            **{name: getattr(row, name) for name in _REPORTED_FIELDS},
        )
        # Sorted: two reports that write in one order cannot deadlock.
        for _publish_id, row in sorted(latest.items())
        if stored.get(row.publish_id) != (row.generation, row.digest, row.state.value, row.verified)
    ]
    if unnamed := stored.keys() - latest.keys():
        Observation.objects.filter(agent=agent, publish__in=unnamed).delete()
    _write(changed)


def note_proved(agent: Agent, operations: Iterable[Operation]) -> None:
    """Note what an agent has proved, also when no operation waits for the agent. One query."""
    now = timezone.now()
    _write(
        [_proved(agent, operation, at=now) for operation in sorted(operations, key=attrgetter("publish_id"))]
    )


def old_absences(agent: Agent, *, page: Report) -> list[Absence]:
    """Absences that the agent has proved for longer than ABSENCE_KEPT_DAYS and that are still wanted.

    Both sides may forget them. One query.
    """
    since = timezone.now() - timedelta(days=settings.ABSENCE_KEPT_DAYS)
    rows = Observation.objects.filter(
        covered_by(page, "publish_id"),
        agent=agent,
        state=Desired.ABSENT,
        verified=True,
        observed_at__lte=since,
    )
    absent_rows = rows.filter(publish__desired_state=Desired.ABSENT, publish__frozen_at=None)
    current = absent_rows.filter(publish__generation=F("generation"), publish__desired_digest=F("digest"))
    return [
        Absence(publish_id=publish_id, generation=generation)
        for publish_id, generation in current.values_list("publish_id", "generation")
    ]


def _proved(agent: Agent, operation: Operation, *, at: datetime) -> Observation:
    values = {
        "generation": operation.generation,
        "digest": operation.digest,
        "state": operation.publish.desired_state,
        "verified": True,
    }
    return Observation(agent=agent, publish_id=operation.publish_id, observed_at=at, **values)


def _write(rows: Sequence[Observation]) -> None:
    """One query, none for no rows."""
    Observation.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["agent", "publish"],
        update_fields=[*_REPORTED_FIELDS, "observed_at"],
    )
