"""The verb retry."""

from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from publishes import errors
from publishes.choices import PEOPLES_KINDS, Kind, Phase
from publishes.models import Operation
from publishes.reading import selectors
from publishes.verbs.deleting import request_delete
from publishes.verbs.publishing import Work, request_publish
from publishes.verbs.withdrawing import request_withdraw
from tenants.actors import Actor


def retry(
    actor: Actor, publish_id: UUID, *, operation_id: UUID | None = None, work: Work = transaction.atomic
) -> Operation | None:
    """Run the last failed verb again, as a new operation with a fresh snapshot. Raises WrongState when it did not fail.

    With `operation_id` only that very operation is tried again. Raises NotTheLast when something newer was asked for. `work` as for a publish.
    """
    publish = selectors.publish_of(actor, publish_id)
    actor.require_write()
    last = Operation.objects.visible_to(actor).filter(publish=publish, kind__in=PEOPLES_KINDS).first()
    if last is None or last.phase != Phase.FAILED:
        raise errors.WrongState(_("Nothing has failed here, so there is nothing to try again."))
    if operation_id not in (None, last.pk):
        raise errors.NotTheLast
    if last.kind == Kind.PUBLISH:
        return request_publish(actor, publish_id, note=last.note, work=work)
    with work():
        return (
            request_withdraw(actor, publish_id, reason=last.note)
            if last.kind == Kind.WITHDRAW
            else request_delete(actor, publish_id)
        )
