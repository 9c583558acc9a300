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
"""The ids of services, each with those of its routes."""


def shown(publishes: Sequence[ProductPublish]) -> list[PublishOut]:
    """Live publishes with deployed services, others with those they would deploy now. Two queries at most."""
    carried = carried_by(publishes)
    return [PublishOut.of(publish, **carried[publish.pk]) for publish in publishes]


def detail(actor: Actor, situation: Situation) -> PublishDetailOut:
    """One publish by itself, with the actions that the actor may do now. Two queries at most."""
    actions = {
        action: ActionOut.of(permission)
        for action, permission in allowed.permissions(actor, situation).items()
    }
    carried = carried_by([situation.publish])[situation.publish.pk]
    return PublishDetailOut.of(situation.publish, allowed_actions=actions, **carried)


def carried_by(publishes: Sequence[ProductPublish]) -> dict[UUID, dict[str, list[UUID]]]:
    """The ids of the services and routes of each publish. Two queries at most."""
    deployed = selectors.deployed_specs_of(publishes)
    planned = _planned({publish.product_id for publish in publishes if publish.pk not in deployed})
    ids = {}
    for publish in publishes:
        spec = deployed.get(publish.pk)
        if spec is None:
            carried = planned.get(publish.product_id, {})
        else:
            carried = {service.id: [route.id for route in service.routes] for service in spec.services}
        routes = [route_id for route_ids in carried.values() for route_id in route_ids]
        ids[publish.pk] = {"services": list(carried), "routes": routes}
    return ids


def accepted(request: HttpRequest, response: HttpResponse, operation: Operation) -> Status[OperationOut]:
    """202 with the operation, and its URL in `Location`."""
    response["Location"] = request.build_absolute_uri(reverse("api:get_operation", args=[operation.pk]))
    return Status(202, OperationOut.of(selectors.with_deliveries(operation)))


def _planned(products: Iterable[UUID]) -> dict[UUID, Carried]:
    if not products:
        return {}
    active = {"service__status": ApiService.Status.ACTIVE, "service__routes__status": Route.Status.ACTIVE}
    rows = ProductService.objects.filter(product__in=products, **active).order_by(
        "service__name", "service__routes__position", "service__routes__path"
    )
    planned: dict[UUID, Carried] = {}
    for product_id, service_id, route_id in rows.values_list(
        "product_id", "service_id", "service__routes__pk"
    ):
        planned.setdefault(product_id, {}).setdefault(service_id, []).append(route_id)
    return planned
