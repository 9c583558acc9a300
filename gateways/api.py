"""The JSON API of gateways: a gateway is read and changed together with its listeners and clusters."""

from datetime import datetime
from typing import Self
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import Field

from core.api.paging import PageIn, page_of
from core.api.versions import IfMatch, mark, mark_new, merging, require_match
from core.pages.searching import SearchText, text_filter
from core.usage import uses_of
from gateways import selectors, services
from gateways.forms import MAX_LISTENERS, checked_gateway
from gateways.models import Gateway, Listener
from tenants.api.callers import actor_of

router = Router(tags=["gateways"])


class GatewayFilters(Schema):
    """The filters of the list."""

    cluster_id: UUID | None = Field(
        None, description="Gateways that can be chosen in this cluster: placed in it, and active."
    )
    status: Gateway.Status | None = None
    q: SearchText = Field("", description="Searched in the name.")


class ListenerIn(Schema, extra="forbid"):
    """A port. Without a name, the listener is named after protocol and port."""

    port: int | None = Field(None, examples=[8443])
    protocol: str | None = Field(None, examples=["HTTPS"])
    name: str | None = None


class GatewayIn(Schema, extra="forbid"):
    """A gateway with all its listeners and clusters; omitted fields keep their values."""

    name: str | None = Field(None, examples=["prod-gateway"])
    gateway_class: str | None = Field(None, examples=["envoy"])
    status: str | None = Field(None, examples=["active"])
    listeners: list[ListenerIn] | None = Field(None, max_length=MAX_LISTENERS)
    clusters: list[UUID] | None = Field(None, max_length=1_000)


class ListenerOut(Schema):
    """A port of a gateway."""

    name: str
    port: int
    protocol: str

    @classmethod
    def of(cls, listener: Listener) -> Self:
        """From the row."""
        return cls(name=listener.name, port=listener.port, protocol=listener.protocol)


class GatewayOut(Schema):
    """A gateway template. Its class selects the agents that can serve it."""

    id: UUID
    name: str = Field(examples=["prod-gateway"])
    gateway_class: str = Field(examples=["envoy"])
    status: str = Field(examples=["active"])
    listeners: list[ListenerOut]
    clusters: list[UUID]
    revision: int = Field(examples=[1], description="Counts people's edits; the ETag says the same.")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, gateway: Gateway) -> Self:
        """From the row, with listeners and clusters prefetched."""
        columns = ("name", "gateway_class", "status", "revision", "created_at", "updated_at")
        listeners = [ListenerOut.of(listener) for listener in gateway.listeners.all()]
        clusters = sorted(cluster.pk for cluster in gateway.clusters.all())
        return cls(
            id=gateway.pk,
            listeners=listeners,
            clusters=clusters,
            **{name: getattr(gateway, name) for name in columns},
        )


@router.get("/gateways", response=list[GatewayOut], summary="Gateways")
def list_gateways(
    request: HttpRequest, response: HttpResponse, filters: Query[GatewayFilters], paging: Query[PageIn]
) -> list[GatewayOut]:
    """By name."""
    exact = {"status": filters.status, "places__cluster": filters.cluster_id}
    if filters.cluster_id and not filters.status:
        exact["status"] = Gateway.Status.ACTIVE
    rows = selectors.gateways_of(actor_of(request)).filter(
        text_filter(filters.q, "name"), **{k: v for k, v in exact.items() if v}
    )
    return [GatewayOut.of(gateway) for gateway in page_of(request, response, rows=rows, paging=paging)]


@router.post("/gateways", response={201: GatewayOut}, summary="Create a gateway")
def create_gateway(request: HttpRequest, response: HttpResponse, body: GatewayIn) -> Status[GatewayOut]:
    """name, listeners and clusters are required."""
    actor = actor_of(request)
    actor.require_write()
    gateway = services.create_gateway(
        actor, fields=checked_gateway(actor, body.model_dump(exclude_none=True))
    )
    return Status(201, GatewayOut.of(mark_new(request, response, gateway, at="api:get_gateway")))


@router.get("/gateways/{uuid:gateway_id}", response=GatewayOut, summary="One gateway")
def get_gateway(request: HttpRequest, response: HttpResponse, gateway_id: UUID) -> GatewayOut:
    """With its listeners and clusters."""
    return GatewayOut.of(mark(response, selectors.gateway_of(actor_of(request), gateway_id)))


@router.put("/gateways/{uuid:gateway_id}", response=GatewayOut, summary="Change a gateway")
@merging
def update_gateway(
    request: HttpRequest,
    response: HttpResponse,
    *,
    gateway_id: UUID,
    body: GatewayIn,
    if_match: IfMatch = None,
) -> GatewayOut:
    """While publishes use it, its class and their clusters stay. With If-Match: 412 after another change."""
    actor = actor_of(request)
    gateway = selectors.gateway_of(actor, gateway_id)
    actor.require_write()
    require_match(gateway, if_match)
    fields = checked_gateway(
        actor, body.model_dump(exclude_none=True), gateway=gateway, uses=uses_of(gateway)
    )
    return GatewayOut.of(
        mark(response, services.update_gateway(actor, gateway_id, fields=fields, revision=gateway.revision))
    )


@router.delete("/gateways/{uuid:gateway_id}", response={204: None}, summary="Delete a gateway")
def delete_gateway(request: HttpRequest, gateway_id: UUID) -> Status[None]:
    """409 while publishes use it; the detail names them."""
    services.delete_gateway(actor_of(request), gateway_id)
    return Status(204, None)
