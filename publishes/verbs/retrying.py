"""The verb retry."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import transaction

from publishes import errors
from publishes.choices import Kind
from publishes.engine import allowed
from publishes.engine.allowed import Action
from publishes.engine.locks import lock_publish
from publishes.models import Operation
from publishes.reading.facts.situation import Situation, situation_at, situation_of
from publishes.verbs.deleting import request_delete
from publishes.verbs.publishing import Work, request_publish
from publishes.verbs.withdrawing import request_withdraw
from tenants.actors import Actor


def retry(
    actor: Actor, publish_id: UUID, *, operation_id: UUID | None = None, work: Work = transaction.atomic
) -> Operation | None:
    """Run the last failed verb again, as a new operation with a fresh snapshot.

    With `operation_id` only that very operation is tried again. `work` as for a publish. Raises WrongState
    when it did not fail, NotTheLastOperation when there is a newer one, and what that verb raises.
    """
    last = _last_failed(actor, situation_at(actor, publish_id), operation_id)

    @contextmanager
    def still_the_last() -> Iterator[None]:
        with work():
            _last_failed(actor, situation_of(lock_publish(actor, publish_id)), last.pk)
            yield

    if last.kind == Kind.PUBLISH:
        return request_publish(actor, publish_id, note=last.note, work=still_the_last)
    with still_the_last():
        return (
            request_withdraw(actor, publish_id, reason=last.note)
            if last.kind == Kind.WITHDRAW
            else request_delete(actor, publish_id)
        )


def _last_failed(actor: Actor, situation: Situation, operation_id: UUID | None) -> Operation:
    allowed.check(actor, situation, Action.RETRY)
    if situation.operation is None or operation_id not in (None, situation.operation.pk):
        raise errors.NotTheLastOperation
    return situation.operation
