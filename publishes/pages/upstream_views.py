"""Whether the clusters of the tenant's gateways let an upstream through: a fragment for API service pages."""

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from clusters.models import Cluster
from gateways.models import Gateway
from products.catalogue.upstream_urls import parse
from publishes.verbs import upstreams
from tenants.actors import Actor
from tenants.doors import actor_page

MAX_CLUSTERS = 10


@require_GET
@actor_page
def check(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The answer of the clusters' fences for `?url=`. For writers, as names are looked up. Two queries."""
    actor.require_write()
    try:
        url = parse(request.GET.get("url", ""))
    except ValidationError:
        return HttpResponse("")
    clusters = list(
        Cluster.objects.filter(gateways__in=Gateway.objects.visible_to(actor)).distinct()[:MAX_CLUSTERS]
    )
    return render(
        request,
        "publishes/upstreams/_check.html",
        {"advice": upstreams.advise(actor, host=url.host, port=url.port, clusters=clusters)},
    )
