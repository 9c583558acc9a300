"""The JSON API of API services: a service is read and changed together with its upstream and routes."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import Field

from core.api.paging import PageIn, page_of
from core.api.versions import IfMatch, mark, mark_new, merging, require_match
from core.pages.searching import SearchText, text_filter
from products.api.schemas import ServiceIn, ServiceOut
from products.catalogue import api_services, selectors
from products.forms import checked_service
from products.models import ApiService
from tenants.api.callers import actor_of

router = Router(tags=["API services"])


class ServiceFilters(Schema):
    """The filters of the list."""

    status: ApiService.Status | None = None
    q: SearchText = Field("", description="Searched in the name.")


@router.get("/api-services", response=list[ServiceOut], summary="API services")
def list_api_services(
    request: HttpRequest, response: HttpResponse, filters: Query[ServiceFilters], paging: Query[PageIn]
) -> list[ServiceOut]:
    """By name, with their routes."""
    rows = (
        ApiService.objects.visible_to(actor_of(request))
        .filter(text_filter(filters.q, "name"))
        .prefetch_related("routes")
    )
    chosen = rows.filter(status=filters.status) if filters.status else rows
    return [ServiceOut.of(service) for service in page_of(request, response, rows=chosen, paging=paging)]


@router.post("/api-services", response={201: ServiceOut}, summary="Create an API service")
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
    """Live publishes change only when published again. With If-Match: 412 after another change."""
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
    """Its routes are deleted too; 409 while a product or a live publish uses it."""
    api_services.delete_service(actor_of(request), service_id)
    return Status(204, None)
