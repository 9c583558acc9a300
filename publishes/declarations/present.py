"""What is there, in the words of the file. Reads only."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from django.utils.text import slugify

from core.models import Label
from core.problems import Conflict
from gateways import models as gateways
from gateways.selectors import gateways_of
from products.catalogue.upstream_urls import UpstreamUrl
from products.forms import row_of
from products.models import ApiService, Product
from publishes.choices import Status
from publishes.declarations import files
from publishes.models import ProductPublish
from tenants.actors import Actor

SERVICE, PRODUCT, GATEWAY, PUBLISH = "service", "product", "gateway", "publish"
_STATES: dict[Status, Literal["draft", "published", "withdrawn"]] = {
    Status.DRAFT: "draft",
    Status.PUBLISHED: "published",
    Status.WITHDRAWN: "withdrawn",
}


class Refused(Conflict):
    """The file wants what cannot be; nothing was done."""

    code = "declaration_refused"


@dataclass(frozen=True)
class Present:
    """A workspace as it is: rows by the names that a file knows them by, and whose they are."""

    services: dict[str, ApiService]
    products: dict[str, list[Product]]
    gateways: dict[str, gateways.Gateway]
    publishes: list[ProductPublish]
    labels: dict[UUID, Label] = field(default_factory=dict)

    @classmethod
    def of(cls, actor: Actor) -> "Present":
        """Everything of the actor's workspace, in a constant number of queries."""
        services = ApiService.objects.visible_to(actor).prefetch_related("routes")
        sold = (
            Product.objects.visible_to(actor)
            .prefetch_related("services")
            .order_by("name", "version", "created_at")
        )
        named: dict[str, list[Product]] = {}
        for product in sold:
            named.setdefault(_called(product), []).append(product)
        published = (
            ProductPublish.objects.visible_to(actor)
            .select_related("product", "cluster", "gateway")
            .order_by("created_at")
        )
        return cls(
            services={service.name: service for service in services},
            products=named,
            gateways={
                gateway.name: gateway
                for gateway in gateways_of(actor).prefetch_related("listeners", "clusters")
            },
            publishes=list(published),
            labels={label.object_id: label for label in Label.objects.filter(tenant_id=actor.tenant_id)},
        )

    def product_of(self, namespace: str, called: str) -> Product | None:
        """The product of that name and version; of several the one that carries the name, or else the one that is not archived. Raises Refused."""
        named = self.products.get(called, [])
        living = [product for product in named if product.status != Product.Status.ARCHIVED]
        found = (
            [product for product in named if self._carries(product.pk, namespace, called)]
            or living
            or named[-1:]
        )
        return _only(found, called=called)

    def publish_of(self, namespace: str, declared: files.Publish) -> list[ProductPublish]:
        """The publish that carries the name, or else those without a name that are just there: product, place, environment, hostname."""
        carrying = [
            publish for publish in self.publishes if self._carries(publish.pk, namespace, declared.name)
        ]
        product = self.product_of(namespace, declared.product)
        return carrying or [
            p
            for p in self.publishes
            if p.pk not in self.labels and p.product == product and _is_there(p, declared)
        ]

    def _carries(self, pk: UUID, namespace: str, name: str) -> bool:
        label = self.labels.get(pk)
        return label is not None and (label.namespace, label.name) == (namespace, name)


def service_as_declared(service: ApiService) -> files.Service:
    """A service, with its routes in their order."""
    routes = [
        files.Route(**{name: value for name, value in row_of(route).items() if name != "id"})
        for route in service.routes.all()
    ]
    same = ("name", "version", "description", "status", "connect_timeout_ms", "timeout_ms")
    return files.Service(
        upstream_url=str(UpstreamUrl.of(service)),
        routes=routes,
        **{name: getattr(service, name) for name in same},
    )


def product_as_declared(product: Product) -> files.Product:
    """A product, with its services by name."""
    same = ("name", "version", "description", "categories", "docs_url", "logo_url", "status")
    return files.Product(
        services=[service.name for service in product.services.all()],
        **{name: getattr(product, name) for name in same},
    )


def gateway_as_declared(gateway: gateways.Gateway) -> files.Gateway:
    """A gateway, with its clusters by name."""
    listeners = [
        files.Listener(port=one.port, protocol=one.protocol, name=one.name) for one in gateway.listeners.all()
    ]
    same = ("name", "gateway_class", "status")
    return files.Gateway(
        listeners=listeners,
        clusters=[cluster.name for cluster in gateway.clusters.all()],
        **{n: getattr(gateway, n) for n in same},
    )


def publish_as_declared(publish: ProductPublish, *, name: str) -> files.Publish:
    """A publish under that name."""
    same = ("environment", "auth_mode", "auth_config", "visibility", "approval_required")
    return files.Publish(
        name=name,
        product=_called(publish.product),
        cluster=publish.cluster.name,
        gateway=publish.gateway.name,
        hostname=publish.hostname_base,
        state=_STATES[Status(publish.status)],
        **{one: getattr(publish, one) for one in same},
    )


def written_down(actor: Actor, *, namespace: str, is_all: bool) -> files.File:
    """The workspace as a file: all of it, or what carries the namespace's label. Raises Refused for two products of one name and version."""
    there = Present.of(actor)
    labels = there.labels

    def is_in(pk: UUID) -> bool:
        return is_all or (pk in labels and labels[pk].namespace == namespace)

    publishes = [publish for publish in there.publishes if is_in(publish.pk)]
    names = dict(_names(publishes, labels))
    sold = {
        called: there.product_of(namespace, called)
        for called, rows in there.products.items()
        if any(is_in(row.pk) for row in rows)
    }
    for publish in publishes:
        called = _called(publish.product)
        _only({publish.product, there.product_of(namespace, called) or publish.product}, called=called)
    return files.File(
        namespace=namespace,
        services=[service_as_declared(one) for one in there.services.values() if is_in(one.pk)],
        products=[product_as_declared(one) for one in sold.values() if one and is_in(one.pk)],
        gateways=[gateway_as_declared(one) for one in there.gateways.values() if is_in(one.pk)],
        publishes=[publish_as_declared(one, name=names[one.pk]) for one in publishes],
    )


def _names(publishes: Iterable[ProductPublish], labels: dict[UUID, Label]) -> Iterable[tuple[UUID, str]]:
    taken = {label.name for label in labels.values() if label.kind == PUBLISH}
    for publish in publishes:
        name = labels[publish.pk].name if publish.pk in labels else ""
        base, number = (
            f"{slugify(publish.product.name) or 'api'}-{publish.environment}-{publish.cluster.name}",
            1,
        )
        while not name:
            tried = base if number == 1 else f"{base}-{number}"
            name, number = ("" if tried in taken else tried), number + 1
        taken.add(name)
        yield publish.pk, name


def _called(product: Product) -> str:
    return f"{product.name} {product.version}"


def _only(found: Collection[Product], *, called: str) -> Product | None:
    if len(found) > 1:
        raise Refused(
            f"product {called}: {len(found)} have this name and version. Give all but one another version, or archive or delete them."
        )
    return next(iter(found), None)


def _is_there(publish: ProductPublish, declared: files.Publish) -> bool:
    place = (publish.cluster.name, publish.gateway.name, publish.environment)
    wanted = (declared.cluster, declared.gateway, declared.environment)
    return place == wanted and declared.hostname in {"", publish.hostname_base}
