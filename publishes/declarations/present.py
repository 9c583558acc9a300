"""What is there, in the words of the file. Reads only."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from django.utils.text import slugify

from core.models import Label
from gateways import models as gateways
from gateways.selectors import gateways_of
from products import models as products
from products.forms import row_of
from products.upstream_urls import UpstreamUrl
from publishes.choices import Status
from publishes.declarations import files
from publishes.models import ProductPublish
from tenants.actors import Actor

SERVICE, PRODUCT, GATEWAY, PUBLISH = "service", "product", "gateway", "publish"
_STATES: dict[Status, Literal["draft", "published", "withdrawn"]] = {Status.DRAFT: "draft", Status.PUBLISHED: "published", Status.WITHDRAWN: "withdrawn"}


@dataclass(frozen=True)
class Present:
    """A workspace as it is: rows by the names that a file knows them by, and whose they are."""

    services: dict[str, products.ApiService]
    products: dict[str, products.Product]
    gateways: dict[str, gateways.Gateway]
    publishes: list[ProductPublish]
    labels: dict[UUID, Label] = field(default_factory=dict)

    @classmethod
    def of(cls, actor: Actor) -> "Present":
        """Everything of the actor's workspace, in a constant number of queries."""
        services = products.ApiService.objects.visible_to(actor).prefetch_related("routes")
        sold = products.Product.objects.visible_to(actor).prefetch_related("services")
        published = ProductPublish.objects.visible_to(actor).select_related("product", "cluster", "gateway").order_by("created_at")
        return cls(
            services={service.name: service for service in services},
            products={f"{product.name} {product.version}": product for product in sold},
            gateways={gateway.name: gateway for gateway in gateways_of(actor).prefetch_related("listeners", "clusters")},
            publishes=list(published),
            labels={label.object_id: label for label in Label.objects.filter(tenant_id=actor.tenant_id)},
        )

    def publish_of(self, namespace: str, declared: files.Publish) -> list[ProductPublish]:
        """The publish that carries the name, or else those without a name that are just there: product, place, environment, hostname."""
        carrying = [p for p in self.publishes if (label := self.labels.get(p.pk)) and (label.namespace, label.name) == (namespace, declared.name)]
        return carrying or [p for p in self.publishes if p.pk not in self.labels and _is_there(p, declared)]


def service_as_declared(service: products.ApiService) -> files.Service:
    """A service, with its routes in their order."""
    routes = [files.Route(**{name: value for name, value in row_of(route).items() if name != "id"}) for route in service.routes.all()]
    same = ("name", "version", "description", "status", "connect_timeout_ms", "timeout_ms")
    return files.Service(upstream_url=str(UpstreamUrl.of(service)), routes=routes, **{name: getattr(service, name) for name in same})


def product_as_declared(product: products.Product) -> files.Product:
    """A product, with its services by name."""
    same = ("name", "version", "description", "categories", "docs_url", "logo_url", "status")
    return files.Product(services=[service.name for service in product.services.all()], **{name: getattr(product, name) for name in same})


def gateway_as_declared(gateway: gateways.Gateway) -> files.Gateway:
    """A gateway, with its clusters by name."""
    listeners = [files.Listener(port=one.port, protocol=one.protocol, name=one.name) for one in gateway.listeners.all()]
    same = ("name", "gateway_class", "status")
    return files.Gateway(listeners=listeners, clusters=[cluster.name for cluster in gateway.clusters.all()], **{n: getattr(gateway, n) for n in same})


def publish_as_declared(publish: ProductPublish, *, name: str) -> files.Publish:
    """A publish under that name."""
    same = ("environment", "auth_mode", "auth_config", "visibility", "approval_required")
    return files.Publish(
        name=name,
        product=f"{publish.product.name} {publish.product.version}",
        cluster=publish.cluster.name,
        gateway=publish.gateway.name,
        hostname=publish.hostname_base,
        state=_STATES[Status(publish.status)],
        **{one: getattr(publish, one) for one in same},
    )


def written_down(actor: Actor, *, namespace: str, is_all: bool) -> files.File:
    """The workspace as a file: all of it, or what carries the namespace's label."""
    there = Present.of(actor)
    labels = there.labels

    def is_in(pk: UUID) -> bool:
        return is_all or (pk in labels and labels[pk].namespace == namespace)

    publishes = [publish for publish in there.publishes if is_in(publish.pk)]
    names = dict(_names(publishes, labels))
    return files.File(
        namespace=namespace,
        services=[service_as_declared(one) for one in there.services.values() if is_in(one.pk)],
        products=[product_as_declared(one) for one in there.products.values() if is_in(one.pk)],
        gateways=[gateway_as_declared(one) for one in there.gateways.values() if is_in(one.pk)],
        publishes=[publish_as_declared(one, name=names[one.pk]) for one in publishes],
    )


def _names(publishes: Iterable[ProductPublish], labels: dict[UUID, Label]) -> Iterable[tuple[UUID, str]]:
    taken = {label.name for label in labels.values() if label.kind == PUBLISH}
    for publish in publishes:
        name = labels[publish.pk].name if publish.pk in labels else ""
        base, number = f"{slugify(publish.product.name) or 'api'}-{publish.environment}-{publish.cluster.name}", 1
        while not name:
            tried = base if number == 1 else f"{base}-{number}"
            name, number = ("" if tried in taken else tried), number + 1
        taken.add(name)
        yield publish.pk, name


def _is_there(publish: ProductPublish, declared: files.Publish) -> bool:
    place = (f"{publish.product.name} {publish.product.version}", publish.cluster.name, publish.gateway.name, publish.environment)
    wanted = (declared.product, declared.cluster, declared.gateway, declared.environment)
    return place == wanted and declared.hostname in {"", publish.hostname_base}
