"""Which agents nothing is known of now, and which publishes that concerns. Reads only."""

from django.db.models import CharField, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from clusters.models import Agent, AgentEvent, counting
from publishes.choices import Status


def silent() -> Q:
    """For `filter` on publishes: what is PUBLISHED, and one of its agents is not heard of, or says that its gateway does not answer."""
    agents = Agent.objects.filter(
        cluster=OuterRef("cluster"),
        driver=OuterRef("gateway__gateway_class"),
        blocked_at=None,
        liveness__isnull=False,
    )
    return Q(
        Exists(agents.annotate(is_counting=counting()).filter(is_counting=False)), status=Status.PUBLISHED
    )


def refusal_of() -> Subquery:
    """For `annotate` on agents: why we believe none of its requests since it was last heard of, such as a clock that is off; None when that is not so."""
    refused: QuerySet[AgentEvent] = AgentEvent.objects.filter(
        agent=OuterRef("pk"), kind=AgentEvent.Kind.REFUSED
    ).order_by("-created_at")
    since = refused.filter(
        created_at__gt=Coalesce(OuterRef("liveness__last_seen_at"), F("agent__created_at"))
    )
    return Subquery(since.values("message")[:1], output_field=CharField())
