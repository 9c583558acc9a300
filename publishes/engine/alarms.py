"""Alarms: what agents carry and this control plane does not know of, as after a restored backup.

Alarms are raised and closed here. An alarm removes nothing from an agent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog
from django.db.models import Max
from django.db.models.functions import Now
from django.utils import timezone

from agent.protocol.bounds import GENERATION_MAX
from agent.protocol.messages import Carried, Outcome, Report, Result
from agent.protocol.spec import Spec, State
from clusters.models import Agent
from core.records import write_locked
from publishes.choices import AlarmKind, Desired
from publishes.models import Alarm, ProductPublish

log = structlog.get_logger(__name__)

UNKNOWN_NAMED = 100
"""Unknown publishes of one agent that have an alarm of their own."""

NAMED_IN_LOG = 20


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """A publish of ours, and what an agent has of it that we do not know."""

    publish: ProductPublish
    generation: int
    state: str


def is_ahead(carried: Carried, publish: ProductPublish) -> bool:
    """Whether an agent carries what we never wanted: a higher generation, or this one with other content.

    An agent that cannot tell the content sends an empty digest.
    """
    has_other_content = carried.generation == publish.generation and carried.digest not in {
        "",
        publish.desired_digest,
    }
    return carried.generation > publish.generation or has_other_content


def note_ahead(agent: Agent, ahead: Sequence[Ahead]) -> set[UUID]:
    """Raise or update an alarm for each publish of which an agent is ahead of us.

    Returns the publishes that the agent was not known to be ahead of. Three queries at most, in a
    transaction that holds the publishes' locks.
    """
    rows = Alarm.objects.select_for_update().filter(
        agent=agent, publish_ref__in=[item.publish.pk for item in ahead], closed_at=None
    )
    open_alarms = {alarm.publish_ref: alarm for alarm in rows}
    newly_ahead, new_alarms, changed = set[UUID](), list[Alarm](), list[Alarm]()
    for item in ahead:
        values = {
            "kind": AlarmKind.GENERATION_AHEAD,
            "publish_id": item.publish.pk,
            "state": item.state,
            "generation": item.generation,
        }
        alarm = open_alarms.get(item.publish.pk)
        if alarm is None or alarm.kind != AlarmKind.GENERATION_AHEAD:
            newly_ahead.add(item.publish.pk)
        if alarm is None:
            new_alarms.append(Alarm(agent=agent, publish_ref=item.publish.pk, **values))
        elif {name: getattr(alarm, name) for name in values} != values:
            changed.append(alarm)
            for name, value in values.items():
                setattr(alarm, name, value)
    Alarm.objects.bulk_create(new_alarms)
    write_locked(changed, ["kind", "publish", "state", "generation"])
    if newly_ahead:
        log.error(
            "generation_ahead",
            agent=str(agent.pk),
            count=len(newly_ahead),
            publishes=sorted(map(str, newly_ahead))[:NAMED_IN_LOG],
        )
    return newly_ahead


def note_unknown(agent: Agent, unknown: Iterable[Carried], *, page: Report) -> list[UUID]:
    """Raise alarms for the publishes of a report's page that have neither row nor tombstone here.

    Alarms of publishes that the page names no more are closed. UNKNOWN_NAMED publishes of an agent have an
    alarm of their own; one more alarm counts all others. Returns the ids that operators want off the agent.
    One query for a page without news.
    """
    rows = list(
        Alarm.objects.filter(
            agent=agent, kind__in=[AlarmKind.UNKNOWN_PUBLISH, AlarmKind.MORE_UNKNOWN], closed_at=None
        )
    )
    named = {alarm.publish_ref: alarm for alarm in rows if alarm.kind == AlarmKind.UNKNOWN_PUBLISH}
    present = {row.publish_id: row for row in unknown if row.state is not State.ABSENT}
    closed_ids = [alarm.pk for ref, alarm in named.items() if ref and page.covers(ref) and ref not in present]
    if closed_ids:
        Alarm.objects.filter(pk__in=closed_ids).update(closed_at=Now(), updated_at=Now())
    new_rows = [present[ref] for ref in sorted(present.keys() - named.keys())]
    free_slots = max(UNKNOWN_NAMED - len(named) + len(closed_ids), 0)
    _raise_unknown(agent, new_rows[:free_slots])
    _note_more(
        agent,
        next((alarm for alarm in rows if alarm.kind == AlarmKind.MORE_UNKNOWN), None),
        count=len(new_rows[free_slots:]),
        page=page,
    )
    removals = [_removal_spec(alarm) for ref, alarm in named.items() if ref in present]
    return [spec.publish_id for spec in removals if spec]


def _raise_unknown(agent: Agent, unknown: Sequence[Carried]) -> None:
    if unknown:
        rows = [
            Alarm(
                agent=agent,
                publish_ref=row.publish_id,
                kind=AlarmKind.UNKNOWN_PUBLISH,
                generation=row.generation,
                state=row.state,
            )
            for row in unknown
        ]
        Alarm.objects.bulk_create(rows, ignore_conflicts=True)
        log.error(
            "unknown_publish",
            agent=str(agent.pk),
            count=len(rows),
            publishes=[str(row.publish_ref) for row in rows][:NAMED_IN_LOG],
        )


def _note_more(agent: Agent, alarm: Alarm | None, *, count: int, page: Report) -> None:
    """A report's first page starts the count anew; its last page closes the alarm when the count is 0."""
    total = count + (alarm.more if alarm and page.after else 0)
    if alarm is None and total:
        Alarm.objects.bulk_create(
            [Alarm(agent=agent, kind=AlarmKind.MORE_UNKNOWN, more=total)], ignore_conflicts=True
        )
    elif alarm and (total != alarm.more or (not total and page.until is None)):
        closed_at = None if total or page.until else timezone.now()
        Alarm.objects.filter(pk=alarm.pk).update(more=total, closed_at=closed_at, updated_at=Now())


def request_removal(alarm: Alarm, *, by: str) -> bool:
    """Note that an operator wants an unknown publish off its agent, which is told at its next heartbeat.

    False when the alarm is closed or of another kind, and when no generation is left above the agent's:
    then its gateway has to be cleared by hand.
    """
    rows = Alarm.objects.filter(
        pk=alarm.pk, kind=AlarmKind.UNKNOWN_PUBLISH, closed_at=None, generation__lt=GENERATION_MAX
    )
    return bool(rows.update(take_off_at=Now(), closed_by=by, updated_at=Now()))


def removal_specs(agent: Agent) -> list[Spec]:
    """Specs that take off this agent what operators want off it, each above its generation. One query."""
    rows = Alarm.objects.filter(
        agent=agent, kind=AlarmKind.UNKNOWN_PUBLISH, closed_at=None, take_off_at__isnull=False
    )
    return [spec for spec in map(_removal_spec, rows) if spec]


def record_answers(agent: Agent, results: Sequence[Result]) -> None:
    """Record what an agent answers about unknown publishes that operators want off it.

    A proved absence closes the alarm; a higher generation is noted. After any other answer the agent is
    asked again. Two queries at most.
    """
    publish_ids = [result.publish_id for result in results]
    rows = Alarm.objects.select_for_update().filter(
        agent=agent, closed_at=None, take_off_at__isnull=False, publish_ref__in=publish_ids
    )
    alarms_by_publish = {alarm.publish_ref: alarm for alarm in rows}
    now, changed = timezone.now(), list[Alarm]()
    for result in results:
        alarm = alarms_by_publish.get(result.publish_id)
        if alarm and result.outcome is Outcome.VERIFIED and alarm.generation == result.generation - 1:
            alarm.closed_at = now
        elif alarm and result.outcome is Outcome.STALE and alarm.generation < result.highest_generation:
            alarm.generation = result.highest_generation
        else:
            continue
        changed.append(alarm)
    write_locked(changed, ["generation", "closed_at"])


def _removal_spec(alarm: Alarm) -> Spec | None:
    if alarm.take_off_at is None or alarm.publish_ref is None or alarm.generation >= GENERATION_MAX:
        return None
    return Spec(publish_id=alarm.publish_ref, generation=alarm.generation + 1, state=State.ABSENT)


def highest_generation_of(publish: ProductPublish) -> tuple[int, str]:
    """The highest generation that any agent has of the publish, and the state that this agent carries.

    The publish's own generation and state when no agent is ahead.
    """
    rows = Alarm.objects.filter(publish=publish, kind=AlarmKind.GENERATION_AHEAD, closed_at=None)
    highest = rows.aggregate(highest=Max("generation"))["highest"] or 0
    newest = rows.filter(generation=highest).first()
    return (
        (highest, newest.state)
        if newest and highest >= publish.generation
        else (publish.generation, publish.desired_state or Desired.ABSENT)
    )


def close_ahead(publish: ProductPublish, *, by: str) -> None:
    """The publish was adopted."""
    Alarm.objects.filter(publish=publish, closed_at=None).update(
        closed_at=Now(), closed_by=by, updated_at=Now()
    )
