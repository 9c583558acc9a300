"""The JSON API of one publish, and of a product's publishes: drafts, settings, the verbs, the history."""

from functools import partial
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from ninja import Query, Router, Status

from core.api.idempotency import begin, talks_first
from core.api.paging import PageIn, page_of
from core.api.versions import IfMatch, mark, mark_new, merging, require_match
from core.problems import Invalid
from products.catalogue.selectors import product_of
from products.models import Product
from publishes import spec
from publishes.api.answers import accepted, detail, shown
from publishes.api.schemas import (
    EventOut,
    NoteIn,
    OperationOut,
    PublishDetailOut,
    PublishIn,
    PublishOut,
    ReasonIn,
)
from publishes.engine import allowed
from publishes.engine.allowed import Action
from publishes.forms.settings import PublishForm, initial_of
from publishes.models import ProductPublish
from publishes.reading.detail.history import timeline_of
from publishes.reading.facts import selectors
from publishes.reading.facts.situation import situation_at, situation_of
from publishes.verbs import deleting, drafts, publishing, withdrawing
from tenants.actors import Actor
from tenants.api.callers import actor_of

router = Router(tags=["publishes"])
_FIELDS = {"cluster": "cluster_id", "gateway": "gateway_id"}
"""The name of a field in the form, and in the request."""


@router.get(
    "/products/{uuid:product_id}/publishes", response=list[PublishOut], summary="The publishes of a product"
)
def list_publishes(
    request: HttpRequest, response: HttpResponse, product_id: UUID, paging: Query[PageIn]
) -> list[PublishOut]:
    """Newest first."""
    actor = actor_of(request)
    return shown(
        page_of(
            request,
            response,
            rows=selectors.publishes_of(actor, product_of(actor, product_id)),
            paging=paging,
        )
    )


@router.post(
    "/products/{uuid:product_id}/publishes", response={201: PublishDetailOut}, summary="Make a draft"
)
@talks_first
def create_publish(
    request: HttpRequest, response: HttpResponse, product_id: UUID, body: PublishIn
) -> Status[PublishDetailOut]:
    """cluster_id and gateway_id are required; all services of the product are taken."""
    actor = actor_of(request)
    product = product_of(actor, product_id)
    actor.require_write()
    allowed.require_active(product)
    settings = _settings(actor, product, body)
    begin(request)
    publish = drafts.create_publish(actor, product, settings=settings)
    mark_new(request, response, publish, at="api:get_publish")
    return Status(201, detail(actor, situation_of(publish)))


@router.get("/product-publishes/{uuid:publish_id}", response=PublishDetailOut, summary="One publish")
def get_publish(request: HttpRequest, response: HttpResponse, publish_id: UUID) -> PublishDetailOut:
    """Its settings and status, and the actions that the caller may do now (lists leave these out)."""
    actor = actor_of(request)
    situation = situation_at(actor, publish_id)
    mark(response, situation.publish)
    return detail(actor, situation)


@router.put("/product-publishes/{uuid:publish_id}", response=PublishDetailOut, summary="Change a draft")
@merging
def update_publish(
    request: HttpRequest,
    response: HttpResponse,
    *,
    publish_id: UUID,
    body: PublishIn,
    if_match: IfMatch = None,
) -> PublishDetailOut:
    """Drafts only (409 otherwise). What is left out keeps its value.

    With If-Match: 412 when it was edited since that ETag.
    """
    actor = actor_of(request)
    situation = situation_at(actor, publish_id)
    publish = situation.publish
    allowed.check(actor, situation, Action.EDIT)
    require_match(publish, if_match)
    settings = _settings(actor, publish.product, body, publish=publish)
    changed = drafts.update_publish(actor, publish_id, settings=settings, revision=publish.revision)
    return detail(actor, situation_of(mark(response, changed)))


@router.post(
    "/product-publishes/{uuid:publish_id}/publish",
    response={202: OperationOut},
    summary="Publish or publish again",
)
@talks_first
def publish(
    request: HttpRequest, response: HttpResponse, publish_id: UUID, body: NoteIn | None = None
) -> Status[OperationOut]:
    """Poll the operation in `Location`: the status changes when agents have proved that traffic is served."""
    operation = publishing.request_publish(
        actor_of(request), publish_id, note=body.note if body else "", work=partial(begin, request)
    )
    return accepted(request, response, operation)


@router.post(
    "/product-publishes/{uuid:publish_id}/withdraw", response={202: OperationOut}, summary="Withdraw"
)
def withdraw(
    request: HttpRequest, response: HttpResponse, publish_id: UUID, body: ReasonIn
) -> Status[OperationOut]:
    """Every path and method of the host answers 410 once the operation has succeeded."""
    operation = withdrawing.request_withdraw(actor_of(request), publish_id, reason=body.reason)
    return accepted(request, response, operation)


@router.delete(
    "/product-publishes/{uuid:publish_id}", response={202: OperationOut, 204: None}, summary="Delete"
)
def delete_publish(
    request: HttpRequest, response: HttpResponse, publish_id: UUID
) -> Status[OperationOut] | Status[None]:
    """202 with the operation that takes it off the gateways; 204 for a draft that was never sent anywhere."""
    operation = deleting.request_delete(actor_of(request), publish_id)
    return Status(204, None) if operation is None else accepted(request, response, operation)


@router.get(
    "/product-publishes/{uuid:publish_id}/events", response=list[EventOut], summary="The history of a publish"
)
def list_events(
    request: HttpRequest, response: HttpResponse, publish_id: UUID, paging: Query[PageIn]
) -> list[EventOut]:
    """Newest first."""
    rows = timeline_of(selectors.publish_of(actor_of(request), publish_id))
    return [EventOut.of(event) for event in page_of(request, response, rows=rows, paging=paging)]


def _settings(
    actor: Actor, product: Product, body: PublishIn, *, publish: ProductPublish | None = None
) -> drafts.Settings:
    settings = body.model_dump(exclude_none=True)
    _check_services(product, settings.pop("api_services", None))
    renamed = {name.removesuffix("_id"): value for name, value in settings.items()}
    try:
        return PublishForm(actor, product, initial_of(publish) | renamed, publish=publish).settings()
    except Invalid as problem:
        raise Invalid(
            fields={_FIELDS.get(name, name): texts for name, texts in problem.fields.items()}
        ) from problem


def _check_services(product: Product, service_ids: list[UUID] | None) -> None:
    if service_ids is None:
        return
    linked = set(product.services.values_list("pk", flat=True))
    planned = {service.pk for service in spec.select(product).services}
    if set(service_ids) not in (linked, planned):
        raise Invalid(
            fields={
                "api_services": [
                    _("All services of the product are deployed; leave this out, or name exactly those.")
                ]
            }
        )
