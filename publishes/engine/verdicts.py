"""Verdicts: what the deliveries of an open operation mean for it. Writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_noop

from publishes.choices import OPEN_PHASES, Kind, Phase
from publishes.models import Delivery, Operation

NO_AGENT = gettext_noop("No agent whose gateway answers was connected before the deadline.")
TIMED_OUT = gettext_noop("Not every connected agent finished before the deadline.")


@dataclass(frozen=True, kw_only=True)
class Success:
    """An operation that is done, and the deliveries that were confirmed."""

    operation: Operation
    confirmed: Sequence[Delivery]

    @property
    def evidence(self) -> dict[str, Any]:
        """For the history, once the operation is closed."""
        agents = [{"name": delivery.agent.name, **delivery.evidence} for delivery in self.confirmed]
        return {"took_ms": self.operation.took_ms, "generation": self.operation.generation, "agents": agents}


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An operation that has failed, and why."""

    operation: Operation
    code: str
    message: str

    @property
    def evidence(self) -> dict[str, Any]:
        """For the history, once the operation is closed."""
        return {"code": self.code, "kind": self.operation.kind, "took_ms": self.operation.took_ms}


def verdict_of(operation: Operation, deliveries: Sequence[Any]) -> Success | Failure | None:
    """Success when every counting agent confirmed, and at least one agent did.

    Failure when a counting agent refused, or the deadline has passed; None while undecided. Without any agent
    in the cluster, all but a publish succeeds at once. Each delivery is annotated with `is_counting`.
    """
    refused = next((d for d in deliveries if d.phase == Phase.FAILED and d.is_counting), None)
    confirmed = [d for d in deliveries if d.phase == Phase.SUCCEEDED]
    waiting = [d for d in deliveries if d.phase in OPEN_PHASES and d.is_counting]
    if refused:
        return Failure(operation=operation, code=refused.code, message=_refusal_message(refused))
    if (confirmed and not waiting) or (not deliveries and operation.kind != Kind.PUBLISH):
        return Success(operation=operation, confirmed=confirmed)
    if operation.deadline_at <= timezone.now():
        code, text = ("deadline", TIMED_OUT) if waiting else ("no_agent", NO_AGENT)
        unfinished = next((d for d in waiting or deliveries if d.message), None)
        message = _refusal_message(unfinished) if unfinished else text
        return Failure(operation=operation, code=code, message=message)
    return None


def _refusal_message(delivery: Delivery) -> str:
    place = " ".join(part for part in (delivery.entity, delivery.field) if part)
    return f"{delivery.agent.name}: {place + ': ' if place else ''}{delivery.message}"
