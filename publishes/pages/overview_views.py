"""배포: the page across products, its polled part, and the comparison of two states of a publish."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from core.pages import live
from core.problems import NotFound
from publishes.choices import Condition, Environment, Status
from publishes.reading.detail import comparing
from publishes.reading.facts import selectors
from publishes.reading.lists import first_run, overview
from publishes.reading.lists.listing import Filters
from publishes.reading.texts import labels
from tenants.actors import Actor
from tenants.doors import actor_page


@require_GET
@actor_page
def index(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Which products are live where, and which need attention. Six queries."""
    clusters = overview.clusters_of(actor)
    choices = {
        "actor": actor,
        "environments": Environment.choices,
        "statuses": Status.values,
        "clusters": clusters,
    }
    return render(request, "publishes/overview/index.html", _context(request, actor) | choices)


@require_GET
@actor_page
def board(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The polled part alone: 204 when nothing changed since `?seen=`. Five queries."""
    context = _context(request, actor)
    page = f"{reverse('overview:list')}?{context['query']}"
    return live.part(
        request, "publishes/overview/_overview.html", context, version=context["overview"].version, page=page
    )


@require_GET
@actor_page
def publish(request: HttpRequest, actor: Actor, publish_id: UUID) -> HttpResponse:  # noqa: ARG001 - what every page gets
    """A publish by its own id alone leads to its page."""
    row = selectors.publish_of(actor, publish_id)
    return redirect("publishes:detail", row.product_id, row.pk)


@require_GET
@actor_page
def compare(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """The differences between two generations of a publish, or one and an agent's. Four queries."""
    comparison = comparing.comparison_of(
        actor, publish_id, old=request.GET.get("old", ""), new=request.GET.get("new", "")
    )
    if comparison.publish.product_id != product_id:
        raise NotFound
    return render(
        request,
        "publishes/compare/index.html",
        {
            "comparison": comparison,
            "publish": comparison.publish,
            "product": comparison.publish.product,
        },
    )


def _context(request: HttpRequest, actor: Actor) -> dict[str, Any]:
    filters = Filters.parse(request.GET.dict())
    shown = overview.overview_of(actor, filters, number=request.GET.get("page"))
    page = {"page": str(shown.page.number)} if shown.page.number > 1 else {}
    return {
        "overview": shown,
        "is_guided": not shown.rows
        and not filters.as_query
        and bool(first_run.steps_to_first_publish(actor)),
        "filters": filters,
        "tiles": [_tile(filters, condition, shown.counts[condition]) for condition in Condition],
        "query": urlencode(filters.as_query | page),
        "filter_query": urlencode(filters.as_query),
        "poll_s": live.BUSY_S if shown.is_busy else live.REST_S,
    }


def _tile(filters: Filters, condition: Condition, number: int) -> dict[str, Any]:
    """A count, and the query that narrows the page to its publishes, or widens it again."""
    is_chosen = filters.condition == condition
    query = filters.without("condition").as_query | ({} if is_chosen else {"condition": condition.value})
    return {
        "label": condition.label,
        "number": number,
        "tone": labels.CONDITION_TONES[condition],
        "is_chosen": is_chosen,
        "query": urlencode(query),
    }
