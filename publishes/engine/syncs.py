"""Syncs: changed credentials go out at once, with the services that are deployed.

A sync is an operation, proved like any other, but it moves no status and any newer operation supersedes it.
While a person's publish is open, that operation gets the next generation instead. Only while the publish is
frozen the change waits (`sync_wanted`).
"""

from uuid import UUID

from django.db import transaction
from django.db.models.query import QuerySet

from agent.protocol.spec import Spec
from publishes import spec
from publishes.choices import OPEN_PHASES, PEOPLES_KINDS, Desired, Kind, Status
from publishes.engine import outbox, settlement
from publishes.models import Operation, ProductPublish
from tenants.actors import Actor


def sync(publish: ProductPublish, *, actor: Actor | None = None, note: str = "") -> Operation | None:
    """Send the credentials that are let in now. Returns the operation by which they reach the agents.

    None while the publish is frozen, and for a draft or a withdrawn publish: its next publish sends them. An
    open withdrawal or deletion ends every credential by itself. The transaction holds the publish's lock.
    Raises IssuerUnknown.
    """
    _set_sync_wanted(publish, is_wanted=publish.frozen_at is not None)
    if publish.frozen_at is not None:
        return None
    open_operation = publish.operations.filter(kind__in=PEOPLES_KINDS, phase__in=OPEN_PHASES).first()
    if publish.desired_state != Desired.LIVE or (
        open_operation is None and publish.status != Status.PUBLISHED
    ):
        return open_operation
    current_spec = Spec.model_validate(
        publish.operations.values_list("spec", flat=True).get(generation=publish.generation)
    )
    renewed_spec = spec.renewed(publish, current_spec)
    if renewed_spec.digest == current_spec.digest:
        return open_operation
    if open_operation is not None:
        open_operation.publish = publish
        outbox.amend(open_operation, renewed_spec)
        return open_operation
    operation = outbox.enqueue(publish, Kind.SYNC, renewed_spec, actor=actor, note=note)
    settlement.settle(operation)
    return operation


@transaction.atomic
def sync_by_id(publish_id: UUID, *, note: str = "") -> Operation | None:
    """The same for a publish that is not locked yet. None too when it is deleted or locked elsewhere."""
    rows = ProductPublish.objects.select_related("product", "cluster", "gateway").filter(deleted_at=None)
    publish = rows.select_for_update(of=["self"], no_key=True, skip_locked=True).filter(pk=publish_id).first()
    return sync(publish, note=note) if publish else None


def publishes_to_sync() -> QuerySet[ProductPublish, UUID]:
    """Ids of the publishes whose changed credentials wait for a sync and may go out now."""
    return (
        ProductPublish.objects.filter(sync_wanted=True, deleted_at=None, frozen_at=None)
        .order_by("pk")
        .values_list("pk", flat=True)
    )


def _set_sync_wanted(publish: ProductPublish, *, is_wanted: bool) -> None:
    if publish.sync_wanted != is_wanted:
        publish.sync_wanted = is_wanted
        publish.save(update_fields=["sync_wanted", "updated_at"])
