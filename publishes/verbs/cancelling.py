"""The verb cancel."""

from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from publishes import errors
from publishes.choices import OPEN_PHASES, PEOPLES_KINDS, Kind
from publishes.engine import settlement
from publishes.engine.locks import lock_publish
from publishes.models import Operation
from tenants.actors import Actor


@transaction.atomic
def cancel(actor: Actor, publish_id: UUID, *, operation_id: UUID | None = None) -> Operation:
    """Stop the publish that is going on; what stood before is put back on every agent by a higher generation.

    With `operation_id` only that very operation is stopped. Raises WrongState when it has ended, NotCancellable for withdrawals and deletions.
    """
    publish = lock_publish(actor, publish_id)
    asked = (
        publish.operations.select_for_update().filter(kind__in=PEOPLES_KINDS, phase__in=OPEN_PHASES).first()
    )
    if asked is None or operation_id not in (None, asked.pk):
        raise errors.WrongState(_("It has ended already, so there is nothing to cancel."))
    if asked.kind != Kind.PUBLISH:
        raise errors.NotCancellable
    asked.publish = publish
    settlement.cancel(asked, actor=actor)
    return asked
