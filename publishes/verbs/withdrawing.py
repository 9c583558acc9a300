"""The verb withdraw."""

from uuid import UUID

from django.db import transaction

from publishes import spec
from publishes.choices import Kind
from publishes.engine import allowed, outbox, settlement
from publishes.engine.allowed import Action
from publishes.engine.locks import lock_publish
from publishes.models import Operation
from publishes.verbs.notes import checked_reason
from tenants.actors import Actor


@transaction.atomic
def request_withdraw(actor: Actor, publish_id: UUID, *, reason: str) -> Operation:
    """Queue a withdrawal: every path answers 410. The reason (1 to 500 characters) is kept in the history."""
    publish = lock_publish(actor, publish_id)
    allowed.require(actor, publish, Action.WITHDRAW)
    operation = outbox.enqueue(
        publish, Kind.WITHDRAW, spec.withdrawn(publish), actor=actor, note=checked_reason(reason)
    )
    settlement.settle(operation)
    return operation
