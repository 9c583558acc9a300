"""Liveness: detects which agents and gateways went silent or came back, and records events for operators."""

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from clusters.models import Agent, AgentEvent, AgentLiveness, connected

EVENTS_KEPT = timedelta(days=90)
REFUSAL_AGAIN = timedelta(minutes=10)


def note_changes() -> list[UUID]:
    """Record each agent and gateway that went silent or came back; returns the ids of the silent agents.

    An agent is silent after three missed heartbeats. One query when nothing changed; the sweep calls this.
    """
    rows = (
        AgentLiveness.objects.filter(agent__blocked_at=None)
        .annotate(is_connected=connected("agent__"))
        .select_related("agent")
    )
    changed = rows.filter(
        ~Q(was_there=F("is_connected")) | (Q(is_connected=True) & ~Q(gateway_was_ok=F("gateway_ok")))
    )
    return [
        row.agent_id for row in changed if _note(row, is_connected=bool(row.is_connected)) and row.was_there
    ]


def forget_old_events() -> None:
    """Delete events older than 90 days; the sweep calls this."""
    AgentEvent.objects.filter(created_at__lt=Now() - EVENTS_KEPT).delete()


@transaction.atomic
def _note(row: AgentLiveness, *, is_connected: bool) -> bool:
    """Record one change. Returns whether the agent itself went silent or came back."""
    # Two sweeps may see the same change; the conditional UPDATE lets one of them record it.
    unchanged = AgentLiveness.objects.filter(
        pk=row.pk, was_there=row.was_there, gateway_was_ok=row.gateway_was_ok
    )
    if not unchanged.update(
        was_there=is_connected, gateway_was_ok=row.gateway_ok if is_connected else row.gateway_was_ok
    ):
        return False
    if row.was_there != is_connected:
        record(row.agent, AgentEvent.Kind.CONNECTED if is_connected else AgentEvent.Kind.DISCONNECTED)
    if is_connected and row.gateway_was_ok != row.gateway_ok:
        record(
            row.agent,
            AgentEvent.Kind.GATEWAY_UP if row.gateway_ok else AgentEvent.Kind.GATEWAY_DOWN,
            message=row.gateway_error,
        )
    return row.was_there != is_connected


def record_refusal(agent: Agent, reason: str) -> None:
    """Record that a signed request was refused; at most once in ten minutes."""
    lately = AgentEvent.objects.filter(
        agent=agent, kind=AgentEvent.Kind.REFUSED, created_at__gt=Now() - REFUSAL_AGAIN
    )
    if not lately.exists():
        record(agent, AgentEvent.Kind.REFUSED, message=reason)


def record(agent: Agent, kind: "AgentEvent.Kind", *, message: str = "", by: str = "") -> None:
    """Add a line to an agent's history. It stays when the agent is removed."""
    AgentEvent.objects.create(
        cluster_id=agent.cluster_id, agent=agent, agent_name=agent.name, kind=kind, message=message, by=by
    )
