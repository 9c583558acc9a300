"""The lock that every change of a publish begins with."""

from uuid import UUID

from publishes.models import ProductPublish
from tenants.actors import Actor


def lock_publish(actor: Actor, publish_id: UUID) -> ProductPublish:
    """The publish, locked until the transaction ends, for an actor who may change it.

    Raises NotFound, then Forbidden.
    """
    return ProductPublish.objects.select_related("product", "cluster", "gateway").lock_for(actor, publish_id)
