"""The steps of a plan, each by the service that pages and API use; and the labels of what a file declares."""

from uuid import UUID

from django.db import transaction

from clusters.models import Cluster
from core.models import Label
from core.problems import NotFound, Problem
from gateways import services as gateway_services
from gateways.forms import checked_gateway
from gateways.models import Gateway
from gateways.services import choosable_clusters
from products.catalogue import api_services, products
from products.forms import checked_product, checked_service
from products.models import ApiService, Product
from publishes.choices import Status
from publishes.declarations import files
from publishes.declarations.present import GATEWAY, PRODUCT, PUBLISH, SERVICE, Workspace
from publishes.forms.settings import PublishForm, initial_of
from publishes.models import Operation, ProductPublish
from publishes.verbs import deleting, drafts, publishing, withdrawing
from tenants.actors import Actor

PRUNED = "no longer declared"


def put_label(actor: Actor, namespace: str, *, kind: str, name: str, pk: UUID) -> None:
    """From now on the object belongs to the namespace, under that name."""
    Label.objects.filter(tenant_id=actor.tenant_id, namespace=namespace, kind=kind, name=name).exclude(
        object_id=pk
    ).delete()  # the label of an object that was deleted
    Label.objects.update_or_create(
        object_id=pk,
        defaults={"tenant_id": actor.tenant_id, "namespace": namespace, "kind": kind, "name": name},
    )


@transaction.atomic
def put_service(actor: Actor, namespace: str, declared: files.Service) -> None:
    """Make or change an API service."""
    row = ApiService.objects.visible_to(actor).filter(name=declared.name).first()
    fields = checked_service(actor, declared.model_dump(), service=row)
    service = (
        api_services.update_service(actor, row.pk, fields=fields, revision=row.revision)
        if row
        else api_services.create_service(actor, fields=fields)
    )
    put_label(actor, namespace, kind=SERVICE, name=declared.name, pk=service.pk)


@transaction.atomic
def put_product(actor: Actor, namespace: str, declared: files.Product, *, row: Product | None) -> None:
    """Make or change a product, link its services, and give it its status."""
    fields = checked_product(declared.model_dump(exclude={"status", "services"}), product=row)
    linked = _ids_of(ApiService, actor, declared.services)
    product = (
        products.update_product(actor, row.pk, fields=fields, service_ids=linked, revision=row.revision)
        if row
        else products.create_product(actor, fields=fields, service_ids=linked)
    )
    status = Product.Status(declared.status)
    if status != product.status:
        if product.status == Product.Status.DRAFT:
            products.activate(actor, product.pk)
        if status == Product.Status.ARCHIVED:
            products.archive(actor, product.pk)
        elif status == Product.Status.DRAFT:
            products.deactivate(actor, product.pk)
    put_label(actor, namespace, kind=PRODUCT, name=declared.full_name, pk=product.pk)


@transaction.atomic
def put_gateway(actor: Actor, namespace: str, declared: files.Gateway) -> None:
    """Make or change a gateway."""
    row = Gateway.objects.visible_to(actor).filter(name=declared.name).first()
    clusters = {
        cluster.name: cluster.pk
        for cluster in choosable_clusters(actor, row).filter(name__in=declared.clusters)
    }
    _refuse_missing("cluster", set(declared.clusters) - set(clusters))
    fields = checked_gateway(
        actor, declared.model_dump() | {"clusters": list(clusters.values())}, gateway=row
    )
    gateway = (
        gateway_services.update_gateway(actor, row.pk, fields=fields, revision=row.revision)
        if row
        else gateway_services.create_gateway(actor, fields=fields)
    )
    put_label(actor, namespace, kind=GATEWAY, name=declared.name, pk=gateway.pk)


def put_publish(actor: Actor, namespace: str, declared: files.Publish) -> None:
    """Make or change a draft."""
    workspace = Workspace.of(actor)
    row, product = (
        next(iter(workspace.publish_of(namespace, declared)), None),
        workspace.product_of(namespace, declared.product),
    )
    cluster, gateway = (
        _cluster(actor, declared.cluster, row),
        Gateway.objects.visible_to(actor).filter(name=declared.gateway).first(),
    )
    for kind, existing, name in (
        (PRODUCT, product, declared.product),
        ("cluster", cluster, declared.cluster),
        (GATEWAY, gateway, declared.gateway),
    ):
        _refuse_missing(kind, set() if existing else {name})
    assert product and cluster and gateway  # noqa: S101 - tells mypy what the line above refuses
    copied = ("environment", "auth_mode", "visibility", "approval_required")
    values = {
        "cluster": cluster.pk,
        "gateway": gateway.pk,
        **{name: getattr(declared, name) for name in copied},
    }
    values |= {"hostname_base": declared.hostname} if declared.hostname else {}
    values |= {"auth_config": declared.auth_config} if declared.auth_config else {}
    settings = PublishForm(
        actor, product, initial_of(row) | values, publish=row
    ).settings()  # asks an issuer, so no transaction is open yet
    with transaction.atomic():
        if row:
            # What the file leaves out is as it was read.
            draft = drafts.update_publish(actor, row.pk, settings=settings, revision=row.revision)
        else:
            draft = drafts.create_publish(actor, product, settings=settings)
        put_label(actor, namespace, kind=PUBLISH, name=declared.name, pk=draft.pk)


def _cluster(actor: Actor, name: str, row: ProductPublish | None) -> Cluster | None:
    """The cluster of that name that the tenant may use; a publish stays in the one where it is."""
    visible = Cluster.objects.visible_to(actor).filter(name=name).first()
    return visible or (row.cluster if row is not None and row.cluster.name == name else None)


def publish(actor: Actor, namespace: str, declared: files.Publish) -> Operation:
    """Ask for the declared publish to become live."""
    return publishing.request_publish(
        actor, _publish_row(actor, namespace, declared).pk, note=f"declared in {namespace}"
    )


def withdraw(actor: Actor, namespace: str, declared: files.Publish) -> Operation:
    """Ask for the declared publish to be withdrawn."""
    return withdrawing.request_withdraw(
        actor, _publish_row(actor, namespace, declared).pk, reason=f"declared as withdrawn in {namespace}"
    )


def remove(actor: Actor, label: Label) -> Operation | None:
    """Delete the labelled object and its label; of a live publish only the withdrawal, until the next run."""
    operation = None
    try:
        if label.kind == PUBLISH:
            operation = _remove_publish(actor, label.object_id)
        elif label.kind == GATEWAY:
            gateway_services.delete_gateway(actor, label.object_id)
        elif label.kind == PRODUCT:
            _remove_product(actor, label.object_id)
        else:
            api_services.delete_service(actor, label.object_id)
    except NotFound:
        pass  # somebody was faster
    if operation is None or operation.kind != "withdraw":
        label.delete()
    return operation


def _remove_publish(actor: Actor, publish_id: UUID) -> Operation | None:
    row = ProductPublish.objects.visible_to(actor).filter(pk=publish_id).first()
    if row is not None and row.status == Status.PUBLISHED:
        return withdrawing.request_withdraw(actor, publish_id, reason=PRUNED)
    return deleting.request_delete(actor, publish_id)


@transaction.atomic
def _remove_product(actor: Actor, product_id: UUID) -> None:
    """A draft that was never published is deleted; what has a history is archived."""
    product = products.lock_product(actor, product_id)
    if product.status == Product.Status.ARCHIVED:
        return
    if product.status == Product.Status.ACTIVE:
        products.deactivate(actor, product_id)
    try:
        with transaction.atomic():
            products.delete_product(actor, product_id)
    except Problem as problem:
        if (
            problem.code != "in_use"
            or ProductPublish.objects.filter(product_id=product_id, deleted_at=None).exists()
        ):
            raise
        products.activate(actor, product_id)
        products.archive(actor, product_id)


def _publish_row(actor: Actor, namespace: str, declared: files.Publish) -> ProductPublish:
    row = next(iter(Workspace.of(actor).publish_of(namespace, declared)), None)
    _refuse_missing(PUBLISH, set() if row else {declared.name})
    assert row  # noqa: S101 - tells mypy what the line above refuses
    return row


def _ids_of(model: type[ApiService], actor: Actor, names: list[str]) -> list[UUID]:
    rows = dict(model.objects.visible_to(actor).filter(name__in=names).values_list("name", "pk"))
    _refuse_missing(SERVICE, set(names) - set(rows))
    return list(rows.values())


def _refuse_missing(kind: str, names: set[str]) -> None:
    if names:
        raise NotFound(f"There is no {kind} named {', '.join(sorted(names))}.")
