"""What people can do with a publish. Every door calls these; each checks the role, the tenant, the state, and says no in words."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django import conf
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from clusters.models import Cluster, open_to
from core.problems import Invalid
from core.records import refuse_if_changed
from gateways.models import Gateway
from gateways.services import hold_place
from products.models import Product
from products.services import lock_product
from publishes import errors, lifecycle, outbox, selectors, settlement, spec, upstreams
from publishes.choices import OPEN_PHASES, PEOPLES_KINDS, EventKind, Kind, Phase, Status
from publishes.models import Operation, ProductPublish, PublishEvent, PublishQuerySet
from tenants.actors import Actor

Work = Callable[[], AbstractContextManager[object]]
SETTINGS = ("environment", "auth_mode", "auth_config", "visibility", "approval_required", "hostname_base")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where and how a product is to be published, as a form has checked it."""

    cluster: Cluster
    gateway: Gateway
    environment: str
    auth_mode: str
    auth_config: dict[str, Any]
    visibility: str
    approval_required: bool
    hostname_base: str


@transaction.atomic
def create_publish(actor: Actor, product: Product, *, settings: Settings, run_key: UUID | None = None) -> ProductPublish:
    """Make a draft; nothing is deployed by it. Asked again with the same run key, it gives the draft made before."""
    require_active(lock_product(actor, product.pk))
    _require_open(settings.cluster, actor.tenant_id)
    hold_place(actor, settings.gateway, cluster=settings.cluster)
    values = {name: getattr(settings, name) for name in ("cluster", "gateway", *SETTINGS)}
    publish, is_new = ProductPublish.objects.get_or_create(tenant_id=actor.tenant_id, product=product, run_key=run_key or uuid4(), defaults=values)
    if is_new:
        _note(publish, EventKind.CREATED, actor=actor)
    return publish


@transaction.atomic
def update_publish(actor: Actor, publish_id: UUID, *, settings: Settings, seen: datetime | None = None) -> ProductPublish:
    """Change a draft's settings. Its cluster and gateway stay once it was sent there.

    `seen` is the `updated_at` that the caller looked at; when it is not the current one, ChangedMeanwhile is raised.
    """
    publish = lock_publish(actor, publish_id)
    lifecycle.check_editable(publish)
    refuse_if_changed(publish, seen=seen)
    refuse_if_open(publish)
    place = (settings.cluster.pk, settings.gateway.pk)
    if publish.generation and place != (publish.cluster_id, publish.gateway_id):
        raise errors.PlaceIsFixed
    if settings.cluster.pk != publish.cluster_id:
        _require_open(settings.cluster, actor.tenant_id)
    hold_place(actor, settings.gateway, cluster=settings.cluster)
    for name in ("cluster", "gateway", *SETTINGS):
        setattr(publish, name, getattr(settings, name))
    publish.save(update_fields=["cluster", "gateway", *SETTINGS, "updated_at"])
    _note(publish, EventKind.UPDATED, actor=actor)
    return publish


def request_publish(actor: Actor, publish_id: UUID, *, note: str = "", work: Work = transaction.atomic) -> Operation:
    """Queue a publish; the agents' answers, not this call, change the status. `work` begins the transaction, after names were resolved."""
    text = checked_note(note)
    asked_for = selectors.publish_of(actor, publish_id)
    actor.require_write()
    _require_publishable(asked_for)
    upstreams.check(asked_for)  # resolves names, so no transaction may be open yet
    with work():
        publish = lock_publish(actor, publish_id)
        publish.product = lock_product(actor, publish.product_id)  # nobody deactivates it, or changes its services, before this is queued
        _require_publishable(publish)
        claim_host(publish)
        operation = outbox.enqueue(publish, Kind.PUBLISH, spec.live(publish), actor=actor, note=text)
        if not operation.deliveries.filter(agent__blocked_at=None).exists():
            raise errors.NoAgent
        return operation


@transaction.atomic
def request_withdraw(actor: Actor, publish_id: UUID, *, reason: str) -> Operation:
    """Queue a withdrawal: every path answers 410. The reason (1 to 500 characters) is kept in the history."""
    publish = lock_publish(actor, publish_id)
    refuse_if_open(publish)
    lifecycle.check(publish, Status.WITHDRAWN)
    operation = outbox.enqueue(publish, Kind.WITHDRAW, spec.withdrawn(publish), actor=actor, note=checked_reason(reason))
    settlement.settle(operation)
    return operation


@transaction.atomic
def request_delete(actor: Actor, publish_id: UUID) -> Operation | None:
    """Queue a deletion; a draft that was never sent anywhere is deleted at once, and None is returned."""
    publish = lock_publish(actor, publish_id)
    refuse_if_open(publish)
    lifecycle.check_deletable(publish)
    if not publish.generation:
        publish.delete()
        return None
    operation = outbox.enqueue(publish, Kind.DELETE, spec.absent(publish), actor=actor)
    settlement.settle(operation)
    return operation


@transaction.atomic
def cancel(actor: Actor, publish_id: UUID, *, operation_id: UUID | None = None) -> Operation:
    """Stop the publish that is going on; what stood before is put back on every agent by a higher generation.

    With `operation_id` only that very operation is stopped. Raises WrongState when it has ended, NotCancellable for withdrawals and deletions.
    """
    publish = lock_publish(actor, publish_id)
    asked = publish.operations.select_for_update().filter(kind__in=PEOPLES_KINDS, phase__in=OPEN_PHASES).first()
    if asked is None or operation_id not in (None, asked.pk):
        raise errors.WrongState(_("It has ended already, so there is nothing to cancel."))
    if asked.kind != Kind.PUBLISH:
        raise errors.NotCancellable
    asked.publish = publish
    settlement.cancel(asked, actor=actor)
    return asked


def retry(actor: Actor, publish_id: UUID, *, operation_id: UUID | None = None, work: Work = transaction.atomic) -> Operation | None:
    """Run the last failed verb again, as a new operation with a fresh snapshot. Raises WrongState when it did not fail.

    With `operation_id` only that very operation is tried again. Raises NotTheLast when something newer was asked for. `work` as for a publish.
    """
    publish = selectors.publish_of(actor, publish_id)
    actor.require_write()
    last = Operation.objects.visible_to(actor).filter(publish=publish, kind__in=PEOPLES_KINDS).first()
    if last is None or last.phase != Phase.FAILED:
        raise errors.WrongState(_("Nothing has failed here, so there is nothing to try again."))
    if operation_id not in (None, last.pk):
        raise errors.NotTheLast
    if last.kind == Kind.PUBLISH:
        return request_publish(actor, publish_id, note=last.note, work=work)
    with work():
        return request_withdraw(actor, publish_id, reason=last.note) if last.kind == Kind.WITHDRAW else request_delete(actor, publish_id)


def suggest_hostname(*, product: Product, cluster: Cluster, environment: str, publish: ProductPublish | None = None) -> str:
    """`{product}.{environment}.{region}.{suffix}`, numbered when another publish than the given one has it. One query."""
    suffix = cluster.host_suffixes[0] if cluster.host_suffixes else "localhost"
    name = slugify(product.name).replace("_", "-")[:50].strip("-") or "api"
    host = f"{name}.{environment}.{cluster.region}.{suffix}"
    return free_hostname(host, cluster=cluster, tenant_id=product.tenant_id, publish=publish)


def free_hostname(host: str, *, cluster: Cluster, tenant_id: UUID, publish: ProductPublish | None = None) -> str:
    """The host itself, or with -2, -3, … behind its first label while another publish of the cluster names, holds or keeps it. One query."""
    first, _dot, rest = host.partition(".")
    first = first[:59]
    named = Q(deleted_at=None, hostname_base__startswith=first, hostname_base__endswith=f".{rest}")
    held = Q(claimed_host__startswith=first, claimed_host__endswith=f".{rest}")
    kept = reserved_from(tenant_id) & Q(hostname_base__startswith=first, hostname_base__endswith=f".{rest}")
    rows = _others(cluster, publish).filter(named | held | kept).values_list("hostname_base", "claimed_host")
    taken = {name for row in rows for name in row}
    number = 1
    while (free := f"{first}{f'-{number}' if number > 1 else ''}.{rest}") in taken:
        number += 1
    return free


def is_held(host: str, *, cluster: Cluster, tenant_id: UUID, publish: ProductPublish | None = None) -> bool:
    """Whether another publish than the given one holds the host in the cluster, or keeps it from the tenant. One query."""
    return _others(cluster, publish).filter(Q(claimed_host=host) | (reserved_from(tenant_id) & Q(hostname_base=host))).exists()


def reserved_from(tenant_id: UUID) -> Q:
    """Others' publishes that keep their hostname from this tenant: what was deleted lately, and drafts that were changed lately.

    No draft keeps a hostname from whoever had it until lately.
    """
    since = timezone.now() - timedelta(days=conf.settings.DRAFT_HOST_DAYS)
    same = ProductPublish.objects.filter(cluster=OuterRef("cluster"), hostname_base=OuterRef("hostname_base"))
    draft = Q(deleted_at=None, status=Status.DRAFT, updated_at__gt=since) & ~Exists(same.filter(_was_deleted(), tenant_id=tenant_id))
    return ~Q(tenant_id=tenant_id) & (draft | _was_deleted())


def lock_publish(actor: Actor, publish_id: UUID) -> ProductPublish:
    """The publish, locked until the transaction ends, for somebody who may change it. Raises NotFound, then Forbidden."""
    return ProductPublish.objects.select_related("product", "cluster", "gateway").lock_for(actor, publish_id)


def refuse_if_open(publish: ProductPublish) -> None:
    """Raises AlreadyInProgress while a person's operation is open, Frozen while an agent is ahead."""
    if publish.frozen_at is not None:
        raise errors.Frozen
    if publish.operations.filter(kind__in=PEOPLES_KINDS, phase__in=OPEN_PHASES).exists():
        raise errors.AlreadyInProgress


def require_active(product: Product) -> None:
    """Raises ProductNotActive."""
    if product.status == Product.Status.ARCHIVED:
        raise errors.ProductNotActive(_("The product is archived, so this is not published any more."))
    if product.status != Product.Status.ACTIVE:
        raise errors.ProductNotActive


def claim_host(publish: ProductPublish) -> None:
    """Take the publish's hostname for it alone in its cluster. Raises HostTaken, HostReserved, or HostBeingReleased while an earlier one is held."""
    host = publish.hostname_base
    if publish.claimed_host == host:
        return
    if publish.claimed_host:
        raise errors.HostBeingReleased(errors.HostBeingReleased.detail % {"host": publish.claimed_host})
    kept = _others(publish.cluster, publish).filter(reserved_from(publish.tenant_id), hostname_base=host)
    if kept.filter(Q(deleted_at__isnull=False) | Q(created_at__lt=publish.created_at)).exists():  # of two drafts the older one
        raise errors.HostReserved
    publish.claimed_host = host
    try:
        with transaction.atomic():
            publish.save(update_fields=["claimed_host", "updated_at"])
    except IntegrityError as problem:
        raise errors.HostTaken from problem


def checked_note(note: str) -> str:
    """A note of at most 500 characters. Raises Invalid."""
    text = _checked_text("note", note)
    if len(text) > 500:
        raise Invalid(fields={"note": [_("Use 500 characters at most.")]})
    return text


def checked_reason(reason: str) -> str:
    """A withdrawal's reason, 1 to 500 characters. Raises Invalid."""
    text = _checked_text("reason", reason)
    if not 1 <= len(text) <= 500:
        raise Invalid(fields={"reason": [_("Say why, in 1 to 500 characters.")]})
    return text


def is_allowed_host(host: str, *, cluster: Cluster) -> bool:
    """Whether the host lies below one of the suffixes that operators allow for the cluster."""
    return any(host.endswith(f".{suffix}") for suffix in cluster.host_suffixes)


def _was_deleted() -> Q:
    """Deleted lately. Agents that were away let go of a host later than that, which then counts."""
    since = timezone.now() - timedelta(hours=conf.settings.HOST_QUARANTINE_H)
    return Q(deleted_at__isnull=False) & (Q(deleted_at__gt=since) | Q(updated_at__gt=since))


def _others(cluster: Cluster, publish: ProductPublish | None) -> PublishQuerySet:
    rows = ProductPublish.objects.filter(cluster=cluster)
    return rows.exclude(pk=publish.pk) if publish else rows


def _checked_text(field: str, text: str) -> str:
    # PostgreSQL holds neither NUL nor half of a surrogate pair.
    if "\x00" in text or any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise Invalid(fields={field: [_("The text has characters that cannot be stored.")]})
    return text.strip()


def _require_publishable(publish: ProductPublish) -> None:
    refuse_if_open(publish)
    lifecycle.check(publish, Status.PUBLISHED)
    require_active(publish.product)
    _require_place(publish)


def _require_place(publish: ProductPublish) -> None:
    _require_open(publish.cluster, publish.tenant_id)
    if publish.cluster.maintenance:
        raise errors.ClusterInMaintenance
    if not is_allowed_host(publish.hostname_base, cluster=publish.cluster):
        raise errors.HostNotAllowed(errors.HostNotAllowed.detail % {"suffixes": ", ".join(publish.cluster.host_suffixes)})


def _require_open(cluster: Cluster, tenant_id: UUID) -> None:
    if not Cluster.objects.filter(open_to(tenant_id), pk=cluster.pk).exists():
        raise errors.ClusterClosed


def _note(publish: ProductPublish, kind: EventKind, *, actor: Actor) -> None:
    to_status = Status.DRAFT if kind == EventKind.CREATED else ""
    PublishEvent.objects.create(publish=publish, kind=kind, actor_label=actor.label, actor_user_id=actor.user_id, to_status=to_status)
