"""The verb publish."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from uuid import UUID

from django.db import transaction

from products.catalogue.products import lock_product
from publishes import errors, spec
from publishes.choices import Kind, Status
from publishes.engine import lifecycle, outbox
from publishes.engine.hosts import claim_host, is_allowed_host
from publishes.engine.locks import lock_publish
from publishes.models import Operation, ProductPublish
from publishes.reading import selectors
from publishes.verbs import upstreams
from publishes.verbs.rules import checked_note, refuse_if_open, require_active, require_open
from tenants.actors import Actor

Work = Callable[[], AbstractContextManager[object]]


def request_publish(
    actor: Actor, publish_id: UUID, *, note: str = "", work: Work = transaction.atomic
) -> Operation:
    """Queue a publish; the agents' answers, not this call, change the status. `work` begins the transaction, after names were resolved."""
    text = checked_note(note)
    asked_for = selectors.publish_of(actor, publish_id)
    actor.require_write()
    _require_publishable(asked_for)
    upstreams.check(asked_for)  # resolves names, so no transaction may be open yet
    with work():
        publish = lock_publish(actor, publish_id)
        publish.product = lock_product(
            actor, publish.product_id
        )  # nobody deactivates it, or changes its services, before this is queued
        _require_publishable(publish)
        claim_host(publish)
        operation = outbox.enqueue(publish, Kind.PUBLISH, spec.live(publish), actor=actor, note=text)
        if not operation.deliveries.filter(agent__blocked_at=None).exists():
            raise errors.NoAgent
        return operation


def _require_publishable(publish: ProductPublish) -> None:
    refuse_if_open(publish)
    lifecycle.check(publish, Status.PUBLISHED)
    require_active(publish.product)
    _require_place(publish)


def _require_place(publish: ProductPublish) -> None:
    require_open(publish.cluster, publish.tenant_id)
    if publish.cluster.maintenance:
        raise errors.ClusterInMaintenance
    if not is_allowed_host(publish.hostname_base, cluster=publish.cluster):
        raise errors.HostNotAllowed(
            errors.HostNotAllowed.detail % {"suffixes": ", ".join(publish.cluster.host_suffixes)}
        )
