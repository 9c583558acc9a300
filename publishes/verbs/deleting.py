"""The verb delete."""

from uuid import UUID

from django.db import transaction

from publishes import spec
from publishes.choices import Kind
from publishes.engine import allowed, outbox, settlement
from publishes.engine.allowed import Action
from publishes.engine.locks import lock_publish
from publishes.models import Operation
from tenants.actors import Actor


@transaction.atomic
def request_delete(actor: Actor, publish_id: UUID) -> Operation | None:
    """Queue a deletion; a draft that was never sent anywhere is deleted at once, and None is returned."""
    publish = lock_publish(actor, publish_id)
    allowed.require(actor, publish, Action.DELETE)
    if not publish.generation:
        publish.delete()
        return None
    operation = outbox.enqueue(publish, Kind.DELETE, spec.absent(publish), actor=actor)
    settlement.settle(operation)
    return operation
