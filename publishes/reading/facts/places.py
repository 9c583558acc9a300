"""Where a product can be published: clusters and gateways, each with the reason when it cannot be chosen."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import BooleanField, Count, Exists, ExpressionWrapper, Max, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from clusters.models import Agent, AgentLiveness, Cluster, connected, open_to
from core.problems import Text
from gateways.models import Gateway, GatewayCluster
from publishes.models import ProductPublish
from tenants.actors import Actor

IN_MAINTENANCE = _("This cluster is in maintenance; choose another one.")
NOBODY_YET = _(
    "No agent of this cluster has been heard of yet. Ask an operator to enrol one, or choose another cluster."
)
NOBODY_CONNECTED = _("No agent of this cluster is connected now. Ask an operator, or choose another cluster.")
NOBODY_SERVES = _("No agent of this cluster serves this class of gateway. Ask an operator to enrol one.")
NO_GATEWAY = _("None of your active gateways stands in this cluster.")
CLOSED = _(
    "Operators have closed this cluster to your workspace. What is live there stays, and can be withdrawn; "
    "nothing is published there anew."
)
_REFUSALS: dict[str, Text] = {
    Cluster.Status.MAINTENANCE: IN_MAINTENANCE,
    Cluster.Status.PENDING: NOBODY_YET,
    Cluster.Status.INACTIVE: NOBODY_CONNECTED,
}
_ENROLLED = Q(agents__blocked_at=None) & ~Q(agents__driver="")


@dataclass(frozen=True, kw_only=True)
class ClusterCard:
    """A cluster to choose, with the status of `with_status`.

    `has_gateway`: whether an active gateway of the tenant stands in it.
    """

    cluster: Cluster
    status: str
    enrolled: int = 0
    connected: int = 0
    last_seen_at: datetime | None = None
    has_gateway: bool = True
    is_open: bool = True

    @property
    def refusal(self) -> Text:
        """Why it cannot be chosen now; empty when it can."""
        if not self.is_open:
            return CLOSED
        return _REFUSALS.get(self.status, "") or ("" if self.has_gateway else NO_GATEWAY)


@dataclass(frozen=True, kw_only=True)
class GatewayCard:
    """A gateway to choose, with the addresses for callers and the versions that its agents report."""

    gateway: Gateway
    addresses: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    refusal: Text = ""

    @property
    def described(self) -> str:
        """`http://10.0.0.5:8080 · Envoy 1.40.0`, as far as it is known."""
        addresses = ", ".join(self.addresses)
        kind = f"{self.gateway.get_gateway_class_display()} {', '.join(self.versions)}".strip()
        return " · ".join(part for part in (addresses, kind) if part)


def clusters(actor: Actor | None, *, for_publishing: bool = False, **filters: Any) -> list[ClusterCard]:
    """The clusters that the actor's tenant may use or has publishes in, the usable ones first. One query.

    Operators (None) get all. `filters` are those of the rows. For publishing, a cluster without an active
    gateway of the tenant is not usable.
    """
    values: dict[str, Any] = {
        "enrolled": Count("agents", filter=_ENROLLED),
        "connected": Count("agents", filter=connected("agents__")),
        "last_seen_at": Max("agents__liveness__last_seen_at"),
    }
    if actor is not None and for_publishing:
        values["has_gateway"] = Exists(_active_gateways(actor).filter(places__cluster=OuterRef("pk")))
    rows = (
        Cluster.objects.filter(**filters)
        .with_status()
        .annotate(**values, is_open=_is_open(actor))
        .order_by("name")
    )
    if actor is not None:
        rows = rows.filter(
            Q(is_open=True)
            | Q(Exists(ProductPublish.objects.visible_to(actor).filter(cluster=OuterRef("pk"))))
        )
    cards = [
        ClusterCard(cluster=row, **{name: getattr(row, name) for name in ("status", "is_open", *values)})
        for row in rows
    ]
    return sorted(cards, key=lambda card: bool(card.refusal))


def _is_open(actor: Actor | None) -> Any:
    return (
        ExpressionWrapper(Q(pk__isnull=False), output_field=BooleanField())
        if actor is None
        else open_to(actor.tenant_id)
    )


def gateways(actor: Actor, cluster: Cluster) -> list[GatewayCard]:
    """The tenant's active gateways that stand in the cluster, those that can be served first. One query."""
    able = Agent.objects.enrolled().filter(cluster=cluster, driver=OuterRef("gateway_class"))
    reported = AgentLiveness.objects.filter(
        agent__cluster=cluster, agent__driver=OuterRef("gateway_class"), agent__blocked_at=None
    )
    answering = reported.filter(agent__in=Agent.objects.connected(), gateway_ok=True)
    rows = _active_gateways(actor).filter(places__cluster=cluster)
    annotated = rows.annotate(
        is_served=Exists(able),
        versions=_distinct(reported, "gateway_version"),
        addresses=_distinct(answering, "proxy_url"),
    )
    cards = [
        GatewayCard(
            gateway=row,
            addresses=tuple(row.addresses),
            versions=tuple(row.versions),
            refusal="" if row.is_served else NOBODY_SERVES,
        )
        for row in annotated
    ]
    return sorted(cards, key=lambda card: bool(card.refusal))


def place_of(
    actor: Actor, *, cluster_id: UUID | None, gateway_id: UUID | None
) -> tuple[Cluster | None, Gateway | None]:
    """The cluster, and the gateway if it is an active one of the tenant there. Two queries at most."""
    if cluster_id and gateway_id:
        places = GatewayCluster.objects.filter(
            cluster_id=cluster_id, gateway_id=gateway_id, gateway__status=Gateway.Status.ACTIVE
        )
        place = (
            places.filter(open_to(actor.tenant_id, "cluster__"), gateway__tenant_id=actor.tenant_id)
            .select_related("cluster", "gateway")
            .first()
        )
        if place is not None:
            return place.cluster, place.gateway
    return Cluster.objects.visible_to(actor).filter(pk=cluster_id).first() if cluster_id else None, None


def _active_gateways(actor: Actor) -> QuerySet[Gateway]:
    return Gateway.objects.visible_to(actor).filter(status=Gateway.Status.ACTIVE)


def _distinct(rows: QuerySet[AgentLiveness], column: str) -> ArraySubquery:
    return ArraySubquery(rows.exclude(**{column: ""}).order_by(column).values(column).distinct())
