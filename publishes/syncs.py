"""Brings changed credentials to what is live: the same services go out again with what is let in now. Never in a person's way.

A sync is an operation like any other, proved like any other, but it moves no status and whatever is newer takes its place. While
somebody's operation is open, or the publish is frozen, it waits (`sync_wanted`), and the sweep sends it after that.
"""

from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.query import QuerySet

from agent.protocol.spec import Spec
from publishes import outbox, settlement, spec
from publishes.choices import OPEN_PHASES, PEOPLES_KINDS, Desired, Kind, Status
from publishes.models import Operation, ProductPublish
from tenants.actors import Actor


def sync(publish: ProductPublish, *, actor: Actor | None = None, note: str = "") -> Operation | None:
    """Send what is let in now, in a transaction that holds the publish's lock. None when it waits, or nothing is live that it would change.

    A draft and a withdrawn publish need none: their next publish takes the credentials of then. Raises IssuerUnknown.
    """
    if publish.frozen_at or publish.operations.filter(kind__in=PEOPLES_KINDS, phase__in=OPEN_PHASES).exists():
        _wait(publish, is_wanted=True)
        return None
    _wait(publish, is_wanted=False)
    if publish.status != Status.PUBLISHED or publish.desired_state != Desired.LIVE:
        return None
    there = Spec.model_validate(publish.operations.values_list("spec", flat=True).get(generation=publish.generation))
    wanted = spec.renewed(publish, there)
    if wanted.digest == there.digest:
        return None
    operation = outbox.enqueue(publish, Kind.SYNC, wanted, actor=actor, note=note)
    settlement.settle(operation)
    return operation


@transaction.atomic
def sync_by_id(publish_id: UUID, *, note: str = "") -> Operation | None:
    """The same for a publish that is not locked yet; nothing when it is gone, or somebody else has it locked."""
    rows = ProductPublish.objects.select_related("product", "cluster", "gateway").filter(deleted_at=None)
    publish = rows.select_for_update(of=["self"], no_key=True, skip_locked=True).filter(pk=publish_id).first()
    return sync(publish, note=note) if publish else None


def waiting() -> QuerySet[ProductPublish, UUID]:
    """The publishes whose sync waits no longer: nobody's operation is open any more, and an operator has adopted what was frozen."""
    theirs = Operation.objects.filter(publish=OuterRef("pk"), kind__in=PEOPLES_KINDS, phase__in=OPEN_PHASES)
    return ProductPublish.objects.filter(~Exists(theirs), sync_wanted=True, deleted_at=None, frozen_at=None).order_by("pk").values_list("pk", flat=True)


def _wait(publish: ProductPublish, *, is_wanted: bool) -> None:
    if publish.sync_wanted != is_wanted:
        publish.sync_wanted = is_wanted
        publish.save(update_fields=["sync_wanted", "updated_at"])
