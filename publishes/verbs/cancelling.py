"""The verb cancel."""

from uuid import UUID

from django.db import transaction

from publishes import errors
from publishes.choices import OPEN_PHASES, PEOPLES_KINDS
from publishes.engine import allowed, settlement
from publishes.engine.allowed import Action
from publishes.engine.locks import lock_publish
from publishes.models import Operation
from publishes.reading.facts.situation import situation_of
from tenants.actors import Actor


@transaction.atomic
def cancel(actor: Actor, publish_id: UUID, *, operation_id: UUID | None = None) -> Operation:
    """Stop the publish that is going on; a higher generation puts the former content back on every agent.

    With `operation_id` only that very operation is stopped. Raises WrongState when it has ended, and
    NotCancellable for withdrawals and deletions.
    """
    publish = lock_publish(actor, publish_id)
    situation = situation_of(publish)
    if operation_id is not None and (situation.operation is None or situation.operation.pk != operation_id):
        raise errors.WrongState(allowed.HAS_ENDED)
    allowed.check(actor, situation, Action.CANCEL)
    operation = publish.operations.select_for_update().get(kind__in=PEOPLES_KINDS, phase__in=OPEN_PHASES)
    operation.publish = publish
    settlement.cancel(operation, actor=actor)
    return operation
