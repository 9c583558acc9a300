"""The verb publish."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from uuid import UUID

from django.db import transaction

from products.catalogue.products import lock_product
from publishes import spec
from publishes.choices import Kind
from publishes.engine import allowed, outbox
from publishes.engine.allowed import Action
from publishes.engine.hosts import claim_host
from publishes.engine.locks import lock_publish
from publishes.models import Operation
from publishes.reading.facts import selectors
from publishes.verbs import upstreams
from publishes.verbs.notes import checked_note
from tenants.actors import Actor

Work = Callable[[], AbstractContextManager[object]]


def request_publish(
    actor: Actor, publish_id: UUID, *, note: str = "", work: Work = transaction.atomic
) -> Operation:
    """Queue a publish; the agents' answers change the status, not this call.

    `work` begins the transaction, after names were resolved.
    """
    text = checked_note(note)
    planned = selectors.publish_of(actor, publish_id)
    allowed.require(actor, planned, Action.PUBLISH)
    upstreams.check(planned)  # resolves names, so no transaction may be open yet
    with work():
        publish = lock_publish(actor, publish_id)
        publish.product = lock_product(
            actor, publish.product_id
        )  # nobody deactivates it, or changes its services, before this is queued
        allowed.require(actor, publish, Action.PUBLISH)
        claim_host(publish)
        return outbox.enqueue(publish, Kind.PUBLISH, spec.live(publish), actor=actor, note=text)
