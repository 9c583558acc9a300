"""The workspace as it is, in the words of the file. Reads only."""

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
    """The file declares what cannot be; nothing was done."""

    code = "declaration_refused"


@dataclass(frozen=True)
class Workspace:
    """The rows of a workspace by the names that files use, and the labels of their namespaces."""

    services: dict[str, ApiService]
    products: dict[str, list[Product]]
    gateways: dict[str, gateways.Gateway]
    publishes: list[ProductPublish]
    labels: dict[UUID, Label] = field(default_factory=dict)

    @classmethod
    def of(cls, actor: Actor) -> "Workspace":
        """Everything of the actor's workspace, in a constant number of queries."""
        services = ApiService.objects.visible_to(actor).prefetch_related("routes")
        products = (
            Product.objects.visible_to(actor)
            .prefetch_related("services")
            .order_by("name", "version", "created_at")
        )
        products_by_name: dict[str, list[Product]] = {}
        for product in products:
            products_by_name.setdefault(_full_name(product), []).append(product)
        published = (
            ProductPublish.objects.visible_to(actor)
            .select_related("product", "cluster", "gateway")
            .order_by("created_at")
        )
        return cls(
            services={service.name: service for service in services},
            products=products_by_name,
            gateways={
                gateway.name: gateway
                for gateway in gateways_of(actor).prefetch_related("listeners", "clusters")
            },
            publishes=list(published),
            labels={label.object_id: label for label in Label.objects.filter(tenant_id=actor.tenant_id)},
        )

    def product_of(self, namespace: str, full_name: str) -> Product | None:
        """The product of that name and version; of several the labelled one, or else the one not archived.

        Raises Refused when several are left.
        """
        namesakes = self.products.get(full_name, [])
        unarchived = [product for product in namesakes if product.status != Product.Status.ARCHIVED]
        candidates = (
            [product for product in namesakes if self._is_labelled(product.pk, namespace, full_name)]
            or unarchived
            or namesakes[-1:]
        )
        return _single(candidates, full_name=full_name)

    def publish_of(self, namespace: str, declared: files.Publish) -> list[ProductPublish]:
        """The publish labelled with the name, or else the unlabelled ones of that product, place and host."""
        labelled = [
            publish for publish in self.publishes if self._is_labelled(publish.pk, namespace, declared.name)
        ]
        product = self.product_of(namespace, declared.product)
        return labelled or [
            p
            for p in self.publishes
            if p.pk not in self.labels and p.product == product and _fits(p, declared)
        ]

    def _is_labelled(self, pk: UUID, namespace: str, name: str) -> bool:
        label = self.labels.get(pk)
        return label is not None and (label.namespace, label.name) == (namespace, name)


def service_as_declared(service: ApiService) -> files.Service:
    """A service, with its routes in their order."""
    routes = [
        files.Route(**{name: value for name, value in row_of(route).items() if name != "id"})
        for route in service.routes.all()
    ]
    fields = ("name", "version", "description", "status", "connect_timeout_ms", "timeout_ms")
    return files.Service(
        upstream_url=str(UpstreamUrl.of(service)),
        routes=routes,
        **{name: getattr(service, name) for name in fields},
    )


def product_as_declared(product: Product) -> files.Product:
    """A product, with its services by name."""
    fields = ("name", "version", "description", "categories", "docs_url", "logo_url", "status")
    return files.Product(
        services=[service.name for service in product.services.all()],
        **{name: getattr(product, name) for name in fields},
    )


def gateway_as_declared(gateway: gateways.Gateway) -> files.Gateway:
    """A gateway, with its clusters by name."""
    listeners = [
        files.Listener(port=listener.port, protocol=listener.protocol, name=listener.name)
        for listener in gateway.listeners.all()
    ]
    fields = ("name", "gateway_class", "status")
    return files.Gateway(
        listeners=listeners,
        clusters=[cluster.name for cluster in gateway.clusters.all()],
        **{name: getattr(gateway, name) for name in fields},
    )


def publish_as_declared(publish: ProductPublish, *, name: str) -> files.Publish:
    """A publish under that name."""
    fields = ("environment", "auth_mode", "auth_config", "visibility", "approval_required")
    return files.Publish(
        name=name,
        product=_full_name(publish.product),
        cluster=publish.cluster.name,
        gateway=publish.gateway.name,
        hostname=publish.hostname_base,
        state=_STATES[Status(publish.status)],
        **{field_name: getattr(publish, field_name) for field_name in fields},
    )


def file_of(actor: Actor, *, namespace: str, is_all: bool) -> files.File:
    """The workspace as a file: everything, or what carries the namespace's label.

    Raises Refused for two products of one name and version.
    """
    workspace = Workspace.of(actor)
    labels = workspace.labels

    def is_included(pk: UUID) -> bool:
        return is_all or (pk in labels and labels[pk].namespace == namespace)

    publishes = [publish for publish in workspace.publishes if is_included(publish.pk)]
    names = dict(_names(publishes, labels))
    products = {
        full_name: workspace.product_of(namespace, full_name)
        for full_name, rows in workspace.products.items()
        if any(is_included(row.pk) for row in rows)
    }
    for publish in publishes:
        full_name = _full_name(publish.product)
        namesake = workspace.product_of(namespace, full_name)
        _single({publish.product, namesake or publish.product}, full_name=full_name)
    return files.File(
        namespace=namespace,
        services=[service_as_declared(row) for row in workspace.services.values() if is_included(row.pk)],
        products=[product_as_declared(row) for row in products.values() if row and is_included(row.pk)],
        gateways=[gateway_as_declared(row) for row in workspace.gateways.values() if is_included(row.pk)],
        publishes=[publish_as_declared(row, name=names[row.pk]) for row in publishes],
    )


def _names(publishes: Iterable[ProductPublish], labels: dict[UUID, Label]) -> Iterable[tuple[UUID, str]]:
    used_names = {label.name for label in labels.values() if label.kind == PUBLISH}
    for publish in publishes:
        name = labels[publish.pk].name if publish.pk in labels else ""
        base, number = (
            f"{slugify(publish.product.name) or 'api'}-{publish.environment}-{publish.cluster.name}",
            1,
        )
        while not name:
            candidate = base if number == 1 else f"{base}-{number}"
            name, number = ("" if candidate in used_names else candidate), number + 1
        used_names.add(name)
        yield publish.pk, name


def _full_name(product: Product) -> str:
    return f"{product.name} {product.version}"


def _single(candidates: Collection[Product], *, full_name: str) -> Product | None:
    if len(candidates) > 1:
        raise Refused(
            f"product {full_name}: {len(candidates)} have this name and version. "
            "Give all but one another version, or archive or delete them."
        )
    return next(iter(candidates), None)


def _fits(publish: ProductPublish, declared: files.Publish) -> bool:
    place = (publish.cluster.name, publish.gateway.name, publish.environment)
    declared_place = (declared.cluster, declared.gateway, declared.environment)
    return place == declared_place and declared.hostname in {"", publish.hostname_base}
