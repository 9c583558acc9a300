"""The JSON API of API services: a service, its upstream and its routes are read and changed as one."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import Field

from core.api.paging import PageIn, page_of
from core.api.versions import IfMatch, mark, mark_new, merging, require_match
from core.pages.searching import SearchText, found_in
from products.api.schemas import ServiceIn, ServiceOut
from products.catalogue import api_services, selectors
from products.forms import checked_service
from products.models import ApiService
from tenants.api.callers import actor_of

router = Router(tags=["API services"])


class ServiceFilters(Schema):
    """What the list is narrowed to."""

    status: ApiService.Status | None = None
    q: SearchText = Field("", description="Looked for in the name.")


@router.get("/api-services", response=list[ServiceOut], summary="API services")
def list_api_services(
    request: HttpRequest, response: HttpResponse, filters: Query[ServiceFilters], which: Query[PageIn]
) -> list[ServiceOut]:
    """By name, with their routes."""
    rows = (
        ApiService.objects.visible_to(actor_of(request))
        .filter(found_in(filters.q, "name"))
        .prefetch_related("routes")
    )
    chosen = rows.filter(status=filters.status) if filters.status else rows
    return [ServiceOut.of(service) for service in page_of(request, response, rows=chosen, which=which)]


@router.post("/api-services", response={201: ServiceOut}, summary="Make an API service")
def create_api_service(request: HttpRequest, response: HttpResponse, body: ServiceIn) -> Status[ServiceOut]:
    """name and upstream_url are required."""
    actor = actor_of(request)
    actor.require_write()
    service = api_services.create_service(
        actor, fields=checked_service(actor, body.model_dump(exclude_none=True))
    )
    return Status(201, ServiceOut.of(mark_new(request, response, service, at="api:get_api_service")))


@router.get("/api-services/{uuid:service_id}", response=ServiceOut, summary="One API service")
def get_api_service(request: HttpRequest, response: HttpResponse, service_id: UUID) -> ServiceOut:
    """With its routes."""
    return ServiceOut.of(mark(response, selectors.service_of(actor_of(request), service_id)))


@router.put("/api-services/{uuid:service_id}", response=ServiceOut, summary="Change an API service")
@merging
def update_api_service(
    request: HttpRequest,
    response: HttpResponse,
    *,
    service_id: UUID,
    body: ServiceIn,
    if_match: IfMatch = None,
) -> ServiceOut:
    """What is live changes only when it is published again. With If-Match: 412 when it was edited since that ETag."""
    actor = actor_of(request)
    service = selectors.service_of(actor, service_id)
    actor.require_write()
    require_match(service, if_match)
    fields = checked_service(actor, body.model_dump(exclude_none=True), service=service)
    return ServiceOut.of(
        mark(
            response, api_services.update_service(actor, service_id, fields=fields, revision=service.revision)
        )
    )


@router.delete("/api-services/{uuid:service_id}", response={204: None}, summary="Delete an API service")
def delete_api_service(request: HttpRequest, service_id: UUID) -> Status[None]:
    """With its routes; 409 while a product has it or something live carries it."""
    api_services.delete_service(actor_of(request), service_id)
    return Status(204, None)
