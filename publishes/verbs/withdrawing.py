"""The verb withdraw."""

from uuid import UUID

from django.db import transaction

from publishes import spec
from publishes.choices import Kind, Status
from publishes.engine import lifecycle, outbox, settlement
from publishes.engine.locks import lock_publish
from publishes.models import Operation
from publishes.verbs.rules import checked_reason, refuse_if_open
from tenants.actors import Actor


@transaction.atomic
def request_withdraw(actor: Actor, publish_id: UUID, *, reason: str) -> Operation:
    """Queue a withdrawal: every path answers 410. The reason (1 to 500 characters) is kept in the history."""
    publish = lock_publish(actor, publish_id)
    refuse_if_open(publish)
    lifecycle.check(publish, Status.WITHDRAWN)
    operation = outbox.enqueue(
        publish, Kind.WITHDRAW, spec.withdrawn(publish), actor=actor, note=checked_reason(reason)
    )
    settlement.settle(operation)
    return operation
