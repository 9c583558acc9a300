"""Services of API services: a service changes together with its upstream and routes."""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from core.records import refuse_if_changed, save_named
from core.usage import Hold, names_of, uses_holding
from products import errors
from products.models import ApiService, Product, Route
from tenants.actors import Actor

NAME_TAKEN = _("Another API service has this name. Choose another one.")
_LINKED = _("It is linked to %(products)s. Unlink it there first.")
_ARCHIVED_WITH = _(
    "It belongs to archived products, which are read-only: %(products)s. Deactivate it instead."
)
COLUMNS = (
    "name",
    "version",
    "description",
    "status",
    "upstream_scheme",
    "upstream_host",
    "upstream_port",
    "upstream_path",
    "connect_timeout_ms",
    "timeout_ms",
)


@dataclass(frozen=True, kw_only=True)
class RouteFields:
    """A checked route.

    `id` is the route's; without it, the route with the same path is meant, or a new one.
    """

    path: str
    methods: tuple[str, ...] = ()
    strip_path: bool = False
    is_active: bool = True
    id: UUID | None = None

    @property
    def status(self) -> Route.Status:
        """For the model."""
        return Route.Status.ACTIVE if self.is_active else Route.Status.INACTIVE


@dataclass(frozen=True, kw_only=True)
class ServiceFields:
    """A checked service with its upstream, and its routes in their order."""

    name: str
    upstream_scheme: str
    upstream_host: str
    upstream_port: int
    upstream_path: str = ""
    version: str = ""
    description: str = ""
    status: str = ApiService.Status.INACTIVE
    connect_timeout_ms: int = 5_000
    timeout_ms: int = 60_000
    routes: tuple[RouteFields, ...] = ()


@transaction.atomic
def create_service(actor: Actor, *, fields: ServiceFields) -> ApiService:
    """Create a service with its routes. Raises Invalid when the name is used."""
    actor.require_write()
    service = ApiService(tenant_id=actor.tenant_id, **{name: getattr(fields, name) for name in COLUMNS})
    save_named(service, name_taken=NAME_TAKEN)
    _put_routes(service, fields.routes)
    return service


@transaction.atomic
def update_service(
    actor: Actor, service_id: UUID, *, fields: ServiceFields, revision: int | None = None
) -> ApiService:
    """Change a service with its upstream and routes. Live publishes change only when published again.

    Optimistic lock: raises ChangedMeanwhile when `revision` is not the current one (None: any).
    """
    service = lock_service(actor, service_id)
    refuse_if_changed(service, revision=revision)
    for name in COLUMNS:
        setattr(service, name, getattr(fields, name))
    save_named(service, columns=COLUMNS, name_taken=NAME_TAKEN)
    _put_routes(service, fields.routes)
    return service


@transaction.atomic
def delete_service(actor: Actor, service_id: UUID) -> None:
    """Delete a service with its routes. Raises InUse while a product or a live publish uses it."""
    service = lock_service(actor, service_id)
    if products := list(service.products.order_by("name")):
        changeable = [product for product in products if product.status != Product.Status.ARCHIVED]
        text = _LINKED if changeable else _ARCHIVED_WITH
        raise errors.InUse(text % {"products": _product_names(changeable or products)})
    if live_uses := uses_holding(service, Hold.LIVE):
        raise errors.InUse(
            _("It is still live in %(uses)s. Withdraw it first.") % {"uses": names_of(live_uses)}
        )
    service.delete()


def _product_names(products: list[Product]) -> str:
    return ", ".join(str(product) for product in products[:3]) + (" …" if len(products) > 3 else "")


def lock_service(actor: Actor, service_id: UUID) -> ApiService:
    """The service, locked until the transaction ends, for a writer. Raises NotFound, then Forbidden."""
    return ApiService.objects.lock_for(actor, service_id)


def _put_routes(service: ApiService, desired: tuple[RouteFields, ...]) -> None:
    """Make exactly these the service's routes. Routes that stay keep their rows and ids."""
    unmatched = {route.pk: route for route in service.routes.all()}
    matched: list[Route | None] = [
        unmatched.pop(fields.id, None) if fields.id else None for fields in desired
    ]
    for place, fields in enumerate(desired):
        if matched[place] is None:
            namesake = next((route for route in unmatched.values() if route.path == fields.path), None)
            matched[place] = unmatched.pop(namesake.pk) if namesake else None
    service.routes.filter(pk__in=unmatched).delete()
    for position, (fields, matched_route) in enumerate(zip(desired, matched, strict=True)):
        route = matched_route or Route(service=service)
        before = (route.path, route.methods, route.strip_path, route.status, route.position)
        route.path, route.methods, route.strip_path, route.status, route.position = after = (
            fields.path,
            list(fields.methods),
            fields.strip_path,
            fields.status,
            position,
        )
        if matched_route is None or before != after:
            route.save()
