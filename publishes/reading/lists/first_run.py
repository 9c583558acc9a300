"""The way to a tenant's first publish, in four steps, each done or not. Reads only."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Exists, Model, OuterRef, Q, Subquery
from django.db.models.query import QuerySet
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from core.problems import Text
from gateways.models import Gateway
from products.models import ApiService, Product, Route
from publishes.models import ProductPublish
from tenants.actors import Actor
from tenants.models import Tenant


@dataclass(frozen=True, kw_only=True)
class Step:
    """One of the four; `url` is where it is done."""

    caption: Text
    text: Text
    url: str
    action: Text
    is_done: bool


def steps_to_first_publish(actor: Actor) -> tuple[Step, ...]:
    """The four steps; none after the first publish, and none for readers. One query at most."""
    if not actor.writes:
        return ()
    facts = Tenant.objects.filter(pk=actor.tenant_id).annotate(**_facts()).values(*_facts()).get()
    if facts["was_published"]:
        return ()
    return _service(facts), _product(facts), _gateway(facts), _publish(facts)


def _facts() -> dict[str, Any]:
    services, products, gateways, publishes = (
        _of(model) for model in (ApiService, Product, Gateway, ProductPublish)
    )
    routes = Route.objects.filter(service=OuterRef("pk"), status=Route.Status.ACTIVE)
    ready = products.filter(status=Product.Status.ACTIVE, services__isnull=False)
    return {
        "was_published": Exists(publishes.filter(published_at__isnull=False)),
        "has_service": Exists(services),
        "service_ready": _first(services.filter(Exists(routes), status=ApiService.Status.ACTIVE)),
        "product": _first(products.exclude(status=Product.Status.ARCHIVED)),
        "product_ready": _first(ready),
        "has_gateway": Exists(gateways),
        "gateway_ready": Exists(gateways.filter(Q(places__isnull=False), status=Gateway.Status.ACTIVE)),
        "draft": Subquery(publishes.filter(deleted_at=None).order_by("-created_at").values("pk")[:1]),
    }


def _of(model: type[Model]) -> QuerySet[Any]:
    """The tenant's rows of a model; the outer query is narrowed to the actor's tenant."""
    return model._default_manager.filter(tenant=OuterRef("pk"))


def _first(rows: QuerySet[Any]) -> Subquery:
    return Subquery(rows.order_by("created_at").values("pk")[:1])


def _service(facts: dict[str, Any]) -> Step:
    has_service = facts["has_service"]
    return Step(
        caption=_("API service"),
        text=_("It needs an active route, and has to be active itself.")
        if has_service
        else _("Where your API lives, and the paths that lead to it."),
        url=reverse("services:list" if has_service else "services:create"),
        action=_("To the API services") if has_service else _("Make an API service"),
        is_done=facts["service_ready"] is not None,
    )


def _product(facts: dict[str, Any]) -> Step:
    product_id: UUID | None = facts["product"]
    create = reverse("products:create") + (
        f"?service={facts['service_ready']}" if facts["service_ready"] else ""
    )
    return Step(
        caption=_("Product"),
        text=_("Link the API service to it, then activate it.")
        if product_id
        else _("What you offer: a name, a version and its API services."),
        url=reverse("products:detail", args=[product_id]) if product_id else create,
        action=_("To the product") if product_id else _("Make a product"),
        is_done=facts["product_ready"] is not None,
    )


def _gateway(facts: dict[str, Any]) -> Step:
    has_gateway = facts["has_gateway"]
    return Step(
        caption="Gateway",
        text=_("It has to be active, and to stand in a cluster.")
        if has_gateway
        else _("The ports that callers use, and the clusters where they are open."),
        url=reverse("gateways:list" if has_gateway else "gateways:create"),
        action=_("To the gateways") if has_gateway else _("Make a gateway"),
        is_done=facts["gateway_ready"],
    )


def _publish(facts: dict[str, Any]) -> Step:
    draft, ready = facts["draft"], facts["product_ready"]
    create = reverse("publishes:create", args=[ready]) if ready else ""
    return Step(
        caption=_("Publish"),
        text=_("The draft is ready; publish it.")
        if draft
        else _("Put the product on a gateway, and see that it is really live."),
        url=reverse("overview:publish", args=[draft]) if draft else create,
        action=_("To the draft") if draft else _("New publish"),
        is_done=False,
    )
