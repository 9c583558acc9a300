"""The JSON API of places: the clusters that can be published to."""

from datetime import datetime
from typing import Self
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from publishes.reading.facts import places
from publishes.reading.facts.places import ClusterCard
from tenants.api.callers import OperatorAuth, SessionAuth, TokenAuth, actor_of, is_operator

router = Router(tags=["clusters"], auth=[TokenAuth(), OperatorAuth(), SessionAuth()])


class ClusterOut(Schema):
    """A cluster. Its hostnames end in one of `host_suffixes`."""

    id: UUID
    name: str = Field(examples=["kr-prod"])
    description: str
    region: str = Field(examples=["kr-seoul"])
    status: str = Field(
        examples=["active"],
        description="pending (no agent yet), active, inactive (no agent is connected) or maintenance.",
    )
    agent_count: int
    active_agent_count: int
    last_heartbeat: datetime | None
    host_suffixes: list[str]

    @classmethod
    def of(cls, card: ClusterCard) -> Self:
        """From the card that the wizard shows."""
        cluster = card.cluster
        return cls(
            id=cluster.pk,
            name=cluster.name,
            description=cluster.description,
            region=cluster.region,
            status=card.status,
            agent_count=card.enrolled,
            active_agent_count=card.connected,
            last_heartbeat=card.last_seen_at,
            host_suffixes=cluster.host_suffixes,
        )


@router.get("/clusters", response=list[ClusterOut], summary="Clusters")
def list_clusters(request: HttpRequest) -> list[ClusterOut]:
    """The clusters that your workspace can publish to now, by name. Operators (by session) see all."""
    actor = None if is_operator(request) else actor_of(request)
    cards = places.clusters(actor)
    if actor is not None:
        cards = [card for card in cards if not card.refusal]
    return [ClusterOut.of(card) for card in sorted(cards, key=lambda card: card.cluster.name)]
