"""The pages of clusters as a provider may see them: where products can be published, on which agents, and what of mine runs there."""

from collections import Counter
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from clusters.models import Agent, connected
from core.problems import NotFound
from gateways.models import Gateway
from publishes import overview, places
from publishes.choices import Status
from publishes.listing import Filters
from publishes.models import ProductPublish
from tenants.actors import Actor
from tenants.doors import actor_page

PER_PAGE = 25


@require_GET
@actor_page
def index(request: HttpRequest, actor: Actor) -> HttpResponse:
    """All clusters with what of mine is live there. Two queries."""
    actor.require_read()
    page = Paginator(places.clusters(), PER_PAGE).get_page(request.GET.get("page"))
    live = Counter(ProductPublish.objects.visible_to(actor).filter(status=Status.PUBLISHED).values_list("cluster_id", flat=True))
    rows = [(card, live[card.cluster.pk]) for card in page.object_list]
    return render(request, "clusters/index.html", {"page": page, "rows": rows})


@require_GET
@actor_page
def detail(request: HttpRequest, actor: Actor, cluster_id: UUID) -> HttpResponse:
    """One cluster: is it there, who serves it, and what of mine runs there? Four queries."""
    actor.require_read()
    card = next(iter(places.clusters(pk=cluster_id)), None)
    if card is None:
        raise NotFound
    context: dict[str, Any] = {
        "card": card,
        "cluster": card.cluster,
        "agents": _agents(cluster_id),
        "gateways": Gateway.objects.visible_to(actor).filter(places__cluster=cluster_id),
        "columns": overview.by_environment(actor, Filters(cluster=cluster_id)),
    }
    return render(request, "clusters/detail.html", context)


def _agents(cluster_id: UUID) -> QuerySet[Agent]:
    """Those that were not blocked, with what they last said."""
    return Agent.objects.filter(cluster=cluster_id, blocked_at=None).select_related("liveness").annotate(is_connected=connected())
