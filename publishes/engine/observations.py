"""What each agent last said it carries. Only this module writes it; nothing is decided by it here."""

from collections.abc import Sequence

from django.utils import timezone

from agent.protocol.messages import Carried
from clusters.models import Agent
from publishes.models import Observation, Operation

_TOLD = ("generation", "digest", "state", "verified")


def observe(agent: Agent, carried: Sequence[Carried]) -> None:
    """Keep what an agent says it carries, and nothing of what it does not name. Three queries at most; only what changed is written."""
    stored = {
        row.publish_id: tuple(getattr(row, name) for name in _TOLD)
        for row in Observation.objects.filter(agent=agent)
    }
    now = timezone.now()
    changed = [
        Observation(
            agent=agent,
            publish_id=one.publish_id,
            observed_at=now,
            **{name: getattr(one, name) for name in _TOLD},
        )
        for _publish_id, one in sorted(
            {one.publish_id: one for one in carried}.items()
        )  # one order for all: two reports cannot lock each other out
        if stored.get(one.publish_id) != (one.generation, one.digest, one.state.value, one.verified)
    ]
    if gone := stored.keys() - {one.publish_id for one in carried}:
        Observation.objects.filter(agent=agent, publish__in=gone).delete()
    _write(changed)


def note_proved(agent: Agent, operation: Operation) -> None:
    """What an agent has proved is observed, also of an agent that nobody waits for. One query."""
    told = {
        "generation": operation.generation,
        "digest": operation.digest,
        "state": operation.publish.desired_state,
        "verified": True,
    }
    _write([Observation(agent=agent, publish_id=operation.publish_id, observed_at=timezone.now(), **told)])


def _write(rows: Sequence[Observation]) -> None:
    """One query, none for no rows."""
    Observation.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["agent", "publish"], update_fields=[*_TOLD, "observed_at"]
    )
