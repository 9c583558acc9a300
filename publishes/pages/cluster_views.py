"""The pages of clusters for providers: where products can be published, and the own publishes there."""

from collections import Counter
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from clusters.models import Agent, AgentLiveness, connected
from core.pages import live
from core.problems import NotFound
from gateways.models import Gateway
from publishes.choices import Condition, Status
from publishes.models import ProductPublish
from publishes.reading.facts import places
from publishes.reading.lists import overview
from publishes.reading.lists.listing import Filters, conditions_of
from tenants.actors import Actor
from tenants.doors import actor_page

PER_PAGE = 25


@require_GET
@actor_page
def index(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The clusters that I may use, with the number of my live publishes. Two queries."""
    return render(request, "publishes/clusters/index.html", _listed(request, actor))


@require_GET
@actor_page
def index_part(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Their rows alone, polled. Two queries."""
    context = _listed(request, actor)
    page = f"{reverse('clusters:list')}?page={context['page'].number}"
    return live.part(request, "publishes/clusters/_list.html", context, version=context["version"], page=page)


@require_GET
@actor_page
def detail(request: HttpRequest, actor: Actor, cluster_id: UUID) -> HttpResponse:
    """One cluster: its status, its agents, and my publishes there. Four queries."""
    return render(request, "publishes/clusters/detail.html", _shown(actor, cluster_id))


@require_GET
@actor_page
def detail_part(request: HttpRequest, actor: Actor, cluster_id: UUID) -> HttpResponse:
    """The same, polled. Four queries."""
    context = _shown(actor, cluster_id)
    return live.part(
        request,
        "publishes/clusters/_detail.html",
        context,
        version=context["version"],
        page=reverse("clusters:detail", args=[cluster_id]),
    )


def _listed(request: HttpRequest, actor: Actor) -> dict[str, Any]:
    actor.require_read()
    page = Paginator(places.clusters(actor), PER_PAGE).get_page(request.GET.get("page"))
    counts = Counter(
        ProductPublish.objects.visible_to(actor)
        .filter(status=Status.PUBLISHED)
        .values_list("cluster_id", flat=True)
    )
    rows = [(card, counts[card.cluster.pk]) for card in page.object_list]
    return {
        "page": page,
        "rows": rows,
        "version": live.version_of([(card, card.cluster.description, count) for card, count in rows]),
        "poll_s": live.REST_S,
    }


def _shown(actor: Actor, cluster_id: UUID) -> dict[str, Any]:
    actor.require_read()
    card = next(iter(places.clusters(actor, pk=cluster_id)), None)
    if card is None:
        raise NotFound
    agents, columns = list(_agents(cluster_id)), overview.by_environment(actor, Filters(cluster=cluster_id))
    gateways = list(Gateway.objects.visible_to(actor).filter(places__cluster=cluster_id))
    publishes = [(p.pk, p.status, conditions_of(p)) for column in columns for p in column.publishes]
    return {
        "card": card,
        "cluster": card.cluster,
        "agents": agents,
        "gateways": gateways,
        "columns": columns,
        "poll_s": live.BUSY_S
        if any(Condition.IN_PROGRESS in conditions for _pk, _status, conditions in publishes)
        else live.REST_S,
        "version": live.version_of(
            card,
            card.cluster.description,
            card.cluster.host_suffixes,
            [_shown_fields(agent) for agent in agents],
            gateways,
            publishes,
        ),
    }


def _agents(cluster_id: UUID) -> QuerySet[Agent]:
    """The agents that are not blocked, with their liveness."""
    return (
        Agent.objects.filter(cluster=cluster_id, blocked_at=None)
        .select_related("liveness")
        .annotate(is_connected=connected())
    )


def _shown_fields(agent: Agent) -> tuple[object, ...]:
    fields = (agent.name, agent.driver, getattr(agent, "is_connected"))  # noqa: B009 - annotated
    liveness: AgentLiveness | None = getattr(agent, "liveness", None)
    if liveness is None:
        return fields
    gateway = (liveness.gateway_ok, liveness.gateway_error, liveness.gateway_version)
    return (*fields, liveness.last_seen_at, *gateway)
