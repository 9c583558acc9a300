"""Schemas of products and API services: input (all optional, no unknown fields) and output."""

from datetime import datetime
from typing import Self
from uuid import UUID

from ninja import Schema
from pydantic import Field

from products.catalogue.upstream_urls import UpstreamUrl
from products.forms import MAX_ROUTES
from products.models import ApiService, Product, Route

_LIST_AT_MOST = 1_000


class ProductIn(Schema, extra="forbid"):
    """A product; omitted fields keep their values. name and version are required for a new product."""

    name: str | None = Field(None, examples=["Payment API"])
    version: str | None = Field(None, examples=["2.0"])
    description: str | None = None
    categories: list[str] | None = Field(None, examples=[["payments", "finance"]])
    docs_url: str | None = None
    logo_url: str | None = None
    api_services: list[UUID] | None = Field(
        None, max_length=_LIST_AT_MOST, description="Exactly these become the product's services."
    )


class ProductOut(Schema):
    """A product. It has no environment and no auth mode: those belong to its publishes."""

    id: UUID
    provider_tenant_id: UUID
    name: str = Field(examples=["Payment API"])
    version: str = Field(examples=["2.0"])
    description: str
    categories: list[str]
    docs_url: str
    logo_url: str
    status: str = Field(examples=["active"], description="draft, active or archived.")
    api_services: list[UUID]
    revision: int = Field(examples=[1], description="Counts people's edits; the ETag says the same.")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, product: Product) -> Self:
        """From the row, with its links prefetched."""
        columns = (
            "name",
            "version",
            "description",
            "categories",
            "docs_url",
            "logo_url",
            "status",
            "revision",
            "created_at",
            "updated_at",
        )
        services = sorted(link.service_id for link in product.links.all())
        return cls(
            id=product.pk,
            provider_tenant_id=product.tenant_id,
            api_services=services,
            **{name: getattr(product, name) for name in columns},
        )


class RouteIn(Schema, extra="forbid"):
    """A route of a service: the route of this id, else the route with the same path, else a new one."""

    id: UUID | None = None
    path: str | None = Field(None, examples=["/billing"])
    methods: list[str] | None = Field(
        None, max_length=20, examples=[["GET", "POST"]], description="None: all."
    )
    strip_path: bool | None = None
    is_active: bool | None = None


class ServiceIn(Schema, extra="forbid"):
    """An API service with its upstream and all its routes; omitted fields keep their values."""

    name: str | None = Field(None, examples=["Billing Service"])
    version: str | None = None
    description: str | None = None
    status: str | None = Field(None, examples=["active"])
    upstream_url: str | None = Field(None, examples=["http://billing-upstream:8080"])
    connect_timeout_ms: int | None = None
    timeout_ms: int | None = None
    routes: list[RouteIn] | None = Field(
        None, max_length=MAX_ROUTES, description="Exactly these become the service's routes."
    )


class RouteOut(Schema):
    """A route: it matches its path and everything below it. No methods means all."""

    id: UUID
    path: str = Field(examples=["/billing"])
    methods: list[str]
    strip_path: bool
    is_active: bool

    @classmethod
    def of(cls, route: Route) -> Self:
        """From the row."""
        return cls(
            id=route.pk,
            path=route.path,
            methods=route.methods,
            strip_path=route.strip_path,
            is_active=route.status == Route.Status.ACTIVE,
        )


class ServiceOut(Schema):
    """An API service. Only active ones with an active route are deployed."""

    id: UUID
    name: str = Field(examples=["Billing Service"])
    version: str
    description: str
    status: str = Field(examples=["active"])
    upstream_url: str = Field(examples=["http://billing-upstream:8080"])
    connect_timeout_ms: int
    timeout_ms: int
    routes: list[RouteOut]
    revision: int = Field(examples=[1], description="Counts people's edits; the ETag says the same.")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, service: ApiService) -> Self:
        """From the row, with its routes prefetched."""
        columns = (
            "name",
            "version",
            "description",
            "status",
            "connect_timeout_ms",
            "timeout_ms",
            "revision",
            "created_at",
            "updated_at",
        )
        routes = [RouteOut.of(route) for route in service.routes.all()]
        return cls(
            id=service.pk,
            upstream_url=str(UpstreamUrl.of(service)),
            routes=routes,
            **{name: getattr(service, name) for name in columns},
        )
