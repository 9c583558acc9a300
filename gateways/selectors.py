"""Queries of gateways."""

from uuid import UUID

from django.db.models.query import QuerySet

from gateways.models import Gateway
from tenants.actors import Actor


def gateways_of(actor: Actor) -> QuerySet[Gateway]:
    """The tenant's gateways by name, with their listeners and clusters."""
    return Gateway.objects.visible_to(actor).prefetch_related("listeners", "clusters")


def gateway_of(actor: Actor, gateway_id: UUID) -> Gateway:
    """A gateway of the actor's tenant. Raises NotFound."""
    return Gateway.objects.get_for(actor, gateway_id)
