"""Make and change drafts; neither deploys anything."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from clusters.models import Cluster
from core.records import refuse_if_changed, save_edit
from gateways.models import Gateway
from gateways.services import hold_place
from products.catalogue.products import lock_product
from products.models import Product
from publishes import errors
from publishes.choices import EventKind, Status
from publishes.engine import allowed
from publishes.engine.allowed import Action
from publishes.engine.locks import lock_publish
from publishes.models import ProductPublish, PublishEvent
from tenants.actors import Actor

SETTINGS = ("environment", "auth_mode", "auth_config", "visibility", "approval_required", "hostname_base")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The place and settings of a publish, as a form has checked them."""

    cluster: Cluster
    gateway: Gateway
    environment: str
    auth_mode: str
    auth_config: dict[str, Any]
    visibility: str
    approval_required: bool
    hostname_base: str


@transaction.atomic
def create_publish(
    actor: Actor, product: Product, *, settings: Settings, run_key: UUID | None = None
) -> ProductPublish:
    """Make a draft; nothing is deployed. The same run key gives the same draft again."""
    allowed.require_active(lock_product(actor, product.pk))
    allowed.require_open(settings.cluster, actor.tenant_id)
    hold_place(actor, settings.gateway, cluster=settings.cluster)
    values = {name: getattr(settings, name) for name in ("cluster", "gateway", *SETTINGS)}
    publish, is_new = ProductPublish.objects.get_or_create(
        tenant_id=actor.tenant_id, product=product, run_key=run_key or uuid4(), defaults=values
    )
    if is_new:
        _note(publish, EventKind.CREATED, actor=actor)
    return publish


@transaction.atomic
def update_publish(
    actor: Actor, publish_id: UUID, *, settings: Settings, revision: int | None = None
) -> ProductPublish:
    """Change a draft's settings. Cluster and gateway cannot change once a spec was sent there.

    Optimistic lock: raises ChangedMeanwhile when `revision` is not the current one (None: any).
    """
    publish = lock_publish(actor, publish_id)
    allowed.require(actor, publish, Action.EDIT)
    refuse_if_changed(publish, revision=revision)
    place = (settings.cluster.pk, settings.gateway.pk)
    if publish.generation and place != (publish.cluster_id, publish.gateway_id):
        raise errors.PlaceIsFixed
    if settings.cluster.pk != publish.cluster_id:
        allowed.require_open(settings.cluster, actor.tenant_id)
    hold_place(actor, settings.gateway, cluster=settings.cluster)
    for name in ("cluster", "gateway", *SETTINGS):
        setattr(publish, name, getattr(settings, name))
    save_edit(publish, columns=["cluster", "gateway", *SETTINGS])
    _note(publish, EventKind.UPDATED, actor=actor)
    return publish


def _note(publish: ProductPublish, kind: EventKind, *, actor: Actor) -> None:
    to_status = Status.DRAFT if kind == EventKind.CREATED else ""
    PublishEvent.objects.create(
        publish=publish, kind=kind, actor_label=actor.label, actor_user_id=actor.user_id, to_status=to_status
    )
