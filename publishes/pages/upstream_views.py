"""Whether an upstream could be published from where the tenant's gateways stand: a fragment for the pages of API services."""

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

MOST = 10


@require_GET
@actor_page
def check(request: HttpRequest, actor: Actor) -> HttpResponse:
    """What the fences of the tenant's clusters say of `?url=`. Two queries. For those who write: it looks names up."""
    actor.require_write()
    try:
        url = parse(request.GET.get("url", ""))
    except ValidationError:
        return HttpResponse("")
    clusters = list(Cluster.objects.filter(gateways__in=Gateway.objects.visible_to(actor)).distinct()[:MOST])
    return render(
        request,
        "publishes/upstreams/_check.html",
        {"advice": upstreams.advise(actor, host=url.host, port=url.port, clusters=clusters)},
    )
