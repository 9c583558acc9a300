"""Silence: which publishes have an agent that is away, and why we refuse an agent's requests. Reads only."""

from django.db.models import CharField, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from clusters.models import Agent, AgentEvent, counting
from publishes.choices import Status


def silent() -> Q:
    """For `filter` on publishes: PUBLISHED ones of which an agent, or the gateway of an agent, is away."""
    agents = Agent.objects.filter(
        cluster=OuterRef("cluster"),
        driver=OuterRef("gateway__gateway_class"),
        blocked_at=None,
        liveness__isnull=False,
    )
    return Q(
        Exists(agents.annotate(is_counting=counting()).filter(is_counting=False)), status=Status.PUBLISHED
    )


def request_error_of() -> Subquery:
    """For `annotate` on agents: why we have refused its requests since its last heartbeat, if we have.

    A clock that is off is such a reason.
    """
    refusals: QuerySet[AgentEvent] = AgentEvent.objects.filter(
        agent=OuterRef("pk"), kind=AgentEvent.Kind.REFUSED
    ).order_by("-created_at")
    newer = refusals.filter(
        created_at__gt=Coalesce(OuterRef("liveness__last_seen_at"), F("agent__created_at"))
    )
    return Subquery(newer.values("message")[:1], output_field=CharField())
