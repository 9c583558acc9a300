"""Hostnames: which are free, and whose they are."""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.text import slugify

from clusters.models import Cluster
from products.models import Product
from publishes import errors
from publishes.choices import Status
from publishes.models import ProductPublish, PublishQuerySet


def reserved_from(tenant_id: UUID) -> Q:
    """Publishes of other tenants that reserve their hostname: lately deleted ones, and lately changed drafts.

    No draft reserves a hostname of which this tenant has lately deleted a publish.
    """
    since = timezone.now() - timedelta(days=settings.DRAFT_HOST_DAYS)
    same_host = ProductPublish.objects.filter(
        cluster=OuterRef("cluster"), hostname_base=OuterRef("hostname_base")
    )
    draft = Q(deleted_at=None, status=Status.DRAFT, updated_at__gt=since) & ~Exists(
        same_host.filter(_was_deleted(), tenant_id=tenant_id)
    )
    return ~Q(tenant_id=tenant_id) & (draft | _was_deleted())


def suggest_hostname(
    *, product: Product, cluster: Cluster, environment: str, publish: ProductPublish | None = None
) -> str:
    """`{product}.{environment}.{region}.{suffix}`, numbered when a publish other than this one has it.

    One query.
    """
    suffix = cluster.host_suffixes[0] if cluster.host_suffixes else "localhost"
    name = slugify(product.name).replace("_", "-")[:50].strip("-") or "api"
    host = f"{name}.{environment}.{cluster.region}.{suffix}"
    return free_hostname(host, cluster=cluster, tenant_id=product.tenant_id, publish=publish)


def free_hostname(
    host: str, *, cluster: Cluster, tenant_id: UUID, publish: ProductPublish | None = None
) -> str:
    """The host itself, or numbered (-2, -3, …) behind its first label until it is free.

    A host is used while another publish of the cluster names, claims or reserves it. One query.
    """
    label, _dot, parent_domain = host.partition(".")
    label = label[:59]
    is_numbered = Q(hostname_base__startswith=label, hostname_base__endswith=f".{parent_domain}")
    is_claimed = Q(claimed_host__startswith=label, claimed_host__endswith=f".{parent_domain}")
    is_used = is_claimed | (is_numbered & (Q(deleted_at=None) | reserved_from(tenant_id)))
    rows = _other_publishes(cluster, publish).filter(is_used)
    used_hosts = {host for row in rows.values_list("hostname_base", "claimed_host") for host in row}
    number = 1
    while (candidate := f"{label}{f'-{number}' if number > 1 else ''}.{parent_domain}") in used_hosts:
        number += 1
    return candidate


def is_host_taken(
    host: str, *, cluster: Cluster, tenant_id: UUID, publish: ProductPublish | None = None
) -> bool:
    """Whether another publish claims the host in the cluster, or reserves it against the tenant.

    One query.
    """
    return (
        _other_publishes(cluster, publish)
        .filter(Q(claimed_host=host) | (reserved_from(tenant_id) & Q(hostname_base=host)))
        .exists()
    )


def claim_host(publish: ProductPublish) -> None:
    """Claim the publish's hostname in its cluster, for this publish alone.

    Raises HostTaken, HostReserved, or HostBeingReleased while an earlier host is still claimed.
    """
    host = publish.hostname_base
    if publish.claimed_host == host:
        return
    if publish.claimed_host:
        raise errors.HostBeingReleased(errors.HostBeingReleased.detail % {"host": publish.claimed_host})
    reserving = _other_publishes(publish.cluster, publish).filter(
        reserved_from(publish.tenant_id), hostname_base=host
    )
    # Of two drafts the older one reserves the host.
    if reserving.filter(Q(deleted_at__isnull=False) | Q(created_at__lt=publish.created_at)).exists():
        raise errors.HostReserved
    publish.claimed_host = host
    try:
        with transaction.atomic():
            publish.save(update_fields=["claimed_host", "updated_at"])
    except IntegrityError as problem:
        raise errors.HostTaken from problem


def is_allowed_host(host: str, *, cluster: Cluster) -> bool:
    """Whether the host lies below one of the suffixes that operators allow for the cluster."""
    return any(host.endswith(f".{suffix}") for suffix in cluster.host_suffixes)


def _was_deleted() -> Q:
    """Deleted lately, or its host released lately: agents that were away confirm the absence later."""
    since = timezone.now() - timedelta(hours=settings.HOST_QUARANTINE_H)
    return Q(deleted_at__isnull=False) & (Q(deleted_at__gt=since) | Q(updated_at__gt=since))


def _other_publishes(cluster: Cluster, publish: ProductPublish | None) -> PublishQuerySet:
    rows = ProductPublish.objects.filter(cluster=cluster)
    return rows.exclude(pk=publish.pk) if publish else rows
