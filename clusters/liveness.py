"""Comings and goings: notices which agents and gateways went silent or came back, and writes it down for operators."""

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from clusters.models import Agent, AgentEvent, AgentLiveness, connected

EVENTS_KEPT = timedelta(days=90)
REFUSAL_AGAIN = timedelta(minutes=10)


def note_changes() -> list[UUID]:
    """Write an event for every agent that went silent or came back, and for every gateway that did; the agents that went are returned.

    An agent is silent after three missed heartbeats. One query when nothing has changed; the sweep calls this.
    """
    rows = (
        AgentLiveness.objects.filter(agent__blocked_at=None)
        .annotate(is_there=connected("agent__"))
        .select_related("agent")
    )
    changed = rows.filter(
        ~Q(was_there=F("is_there")) | (Q(is_there=True) & ~Q(gateway_was_ok=F("gateway_ok")))
    )
    return [row.agent_id for row in changed if _note(row, is_there=bool(row.is_there)) and row.was_there]


def forget_old_events() -> None:
    """Events older than 90 days; the sweep calls this."""
    AgentEvent.objects.filter(created_at__lt=Now() - EVENTS_KEPT).delete()


@transaction.atomic
def _note(row: AgentLiveness, *, is_there: bool) -> bool:
    """True when the agent itself came or went."""
    # Two sweeps may see the same change; the row decides who writes it down.
    seen = AgentLiveness.objects.filter(pk=row.pk, was_there=row.was_there, gateway_was_ok=row.gateway_was_ok)
    if not seen.update(was_there=is_there, gateway_was_ok=row.gateway_ok if is_there else row.gateway_was_ok):
        return False
    if row.was_there != is_there:
        record(row.agent, AgentEvent.Kind.CONNECTED if is_there else AgentEvent.Kind.DISCONNECTED)
    if is_there and row.gateway_was_ok != row.gateway_ok:
        record(
            row.agent,
            AgentEvent.Kind.GATEWAY_UP if row.gateway_ok else AgentEvent.Kind.GATEWAY_DOWN,
            message=row.gateway_error,
        )
    return row.was_there != is_there


def record_refusal(agent: Agent, words: str) -> None:
    """A signed request of the agent was refused; said once in ten minutes."""
    lately = AgentEvent.objects.filter(
        agent=agent, kind=AgentEvent.Kind.REFUSED, created_at__gt=Now() - REFUSAL_AGAIN
    )
    if not lately.exists():
        record(agent, AgentEvent.Kind.REFUSED, message=words)


def record(agent: Agent, kind: "AgentEvent.Kind", *, message: str = "", by: str = "") -> None:
    """Write one line of an agent's history. It stays when the agent is removed."""
    AgentEvent.objects.create(
        cluster_id=agent.cluster_id, agent=agent, agent_name=agent.name, kind=kind, message=message, by=by
    )
