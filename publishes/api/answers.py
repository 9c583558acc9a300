"""How the API shows publishes and operations: the same in every answer."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Status

from products.models import ApiService, ProductService, Route
from publishes.api.schemas import ActionOut, OperationOut, PublishDetailOut, PublishOut
from publishes.engine import allowed
from publishes.models import Operation, ProductPublish
from publishes.reading.facts import selectors
from publishes.reading.facts.situation import Situation
from tenants.actors import Actor

Carried = dict[UUID, list[UUID]]
"""Services, each with its routes."""


def shown(publishes: Sequence[ProductPublish]) -> list[PublishOut]:
    """What is live carries what was deployed; all else, what a publish would deploy now. Two queries at most."""
    carried = carried_by(publishes)
    return [PublishOut.of(publish, **carried[publish.pk]) for publish in publishes]


def detail(actor: Actor, now: Situation) -> PublishDetailOut:
    """One publish by itself, with what the actor may do with it now. Two queries at most."""
    actions = {action: ActionOut.of(may) for action, may in allowed.permissions(actor, now).items()}
    carried = carried_by([now.publish])[now.publish.pk]
    return PublishDetailOut.of(now.publish, allowed_actions=actions, **carried)


def carried_by(publishes: Sequence[ProductPublish]) -> dict[UUID, dict[str, list[UUID]]]:
    """The ids of the services and routes of each publish. Two queries at most."""
    deployed = selectors.deployed_specs_of(publishes)
    planned = _planned({publish.product_id for publish in publishes if publish.pk not in deployed})
    answer = {}
    for publish in publishes:
        there = deployed.get(publish.pk)
        carried = (
            {s.id: [r.id for r in s.routes] for s in there.services}
            if there
            else planned.get(publish.product_id, {})
        )
        answer[publish.pk] = {
            "services": list(carried),
            "routes": [route for routes in carried.values() for route in routes],
        }
    return answer


def accepted(request: HttpRequest, response: HttpResponse, operation: Operation) -> Status[OperationOut]:
    """202 with the operation, and where to ask how far it is."""
    response["Location"] = request.build_absolute_uri(reverse("api:get_operation", args=[operation.pk]))
    return Status(202, OperationOut.of(selectors.with_deliveries(operation)))


def _planned(products: Iterable[UUID]) -> dict[UUID, Carried]:
    if not products:
        return {}
    active = {"service__status": ApiService.Status.ACTIVE, "service__routes__status": Route.Status.ACTIVE}
    rows = ProductService.objects.filter(product__in=products, **active).order_by(
        "service__name", "service__routes__position", "service__routes__path"
    )
    found: dict[UUID, Carried] = {}
    for product_id, service_id, route_id in rows.values_list(
        "product_id", "service_id", "service__routes__pk"
    ):
        found.setdefault(product_id, {}).setdefault(service_id, []).append(route_id)
    return found
