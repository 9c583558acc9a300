"""Alarms: what agents carry and this control plane does not know of, as after a restored backup. Raised and closed here; nothing is removed by it."""

from collections.abc import Sequence

import structlog
from django.db.models import Max
from django.db.models.functions import Now
from django.utils import timezone

from agent.protocol.bounds import GENERATION_MAX
from agent.protocol.messages import Carried, Outcome, Result
from agent.protocol.spec import Spec, State
from clusters.models import Agent
from publishes.choices import AlarmKind, Desired
from publishes.models import Alarm, ProductPublish

log = structlog.get_logger(__name__)


def is_ahead(carried: Carried, publish: ProductPublish) -> bool:
    """Whether an agent carries what we never wanted: a higher generation, or this one with other content (where it can tell the content)."""
    has_other_content = carried.generation == publish.generation and carried.digest not in {
        "",
        publish.desired_digest,
    }
    return carried.generation > publish.generation or has_other_content


def note_ahead(agent: Agent, publish: ProductPublish, *, generation: int, state: str) -> bool:
    """An agent has a generation, or a content of it, that we do not know. In a transaction that holds the publish's lock; True when that is news."""
    told = {"kind": AlarmKind.GENERATION_AHEAD, "publish": publish, "state": state, "generation": generation}
    alarm, is_new = Alarm.objects.get_or_create(
        agent=agent, publish_ref=publish.pk, closed_at=None, defaults=told
    )
    if not is_new and (alarm.generation, alarm.state) != (generation, state):
        Alarm.objects.filter(pk=alarm.pk).update(
            generation=generation, state=state, updated_at=timezone.now()
        )
    if is_new:
        log.error(
            "generation_ahead",
            agent=str(agent.pk),
            publish=str(publish.pk),
            known=publish.generation,
            there=generation,
        )
    return is_new


def note_unknown(agent: Agent, unknown: Sequence[Carried]) -> None:
    """The publishes that an agent carries and that have neither row nor tombstone here; those that it carries no more are closed."""
    there = {one.publish_id: one for one in unknown if one.state is not State.ABSENT}
    rows = Alarm.objects.filter(agent=agent, kind=AlarmKind.UNKNOWN_PUBLISH, closed_at=None)
    known = dict(rows.values_list("publish_ref", "generation"))
    if gone := known.keys() - there.keys():
        rows.filter(publish_ref__in=gone).update(closed_at=Now(), updated_at=Now())
    for publish_id in there.keys() - known.keys():
        one = there[publish_id]
        told = {"kind": AlarmKind.UNKNOWN_PUBLISH, "generation": one.generation, "state": one.state.value}
        Alarm.objects.get_or_create(agent=agent, publish_ref=publish_id, closed_at=None, defaults=told)
        log.error("unknown_publish", agent=str(agent.pk), publish=str(publish_id), there=one.generation)


def ask_to_take_off(alarm: Alarm, *, by: str) -> bool:
    """An operator wants an unknown publish off its agent; it is told at its next heartbeat. False when the alarm is not such a one (any more).

    False too when no generation is left above the agent's: its gateway has to be cleared by hand.
    """
    rows = Alarm.objects.filter(
        pk=alarm.pk, kind=AlarmKind.UNKNOWN_PUBLISH, closed_at=None, generation__lt=GENERATION_MAX
    )
    return bool(rows.update(take_off_at=Now(), closed_by=by, updated_at=Now()))


def to_take_off(agent: Agent) -> list[Spec]:
    """What operators want off this agent, as specs of a generation above the one that it carries. One query."""
    rows = Alarm.objects.filter(
        agent=agent,
        kind=AlarmKind.UNKNOWN_PUBLISH,
        closed_at=None,
        take_off_at__isnull=False,
        generation__lt=GENERATION_MAX,
    )
    return [
        Spec(publish_id=ref, generation=generation + 1, state=State.ABSENT)
        for ref, generation in rows.values_list("publish_ref", "generation")
    ]


def take_answer(agent: Agent, result: Result) -> None:
    """What an agent says about an unknown publish that operators want off it: proved gone, or that it has seen a higher generation still.

    After any other answer it is asked again.
    """
    asked = Alarm.objects.filter(
        agent=agent, publish_ref=result.publish_id, closed_at=None, take_off_at__isnull=False
    )
    if result.outcome is Outcome.VERIFIED:
        asked.filter(generation=result.generation - 1).update(closed_at=Now(), updated_at=Now())
    elif result.outcome is Outcome.STALE:
        asked.filter(generation__lt=result.highest_generation).update(
            generation=result.highest_generation, updated_at=Now()
        )


def highest_of(publish: ProductPublish) -> tuple[int, str]:
    """The highest generation that any agent has of the publish, and the state it carries there; the publish's own when there is no alarm."""
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
