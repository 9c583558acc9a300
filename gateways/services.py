"""Services of gateways: a gateway changes together with its listeners and clusters."""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.query import QuerySet
from django.utils.translation import gettext_lazy as _

from clusters.models import Cluster, open_to
from core.problems import Invalid
from core.records import refuse_if_changed, save_named
from core.usage import Hold, Use, names_of, uses_of
from gateways.errors import GatewayInUse
from gateways.models import Gateway, GatewayCluster, Listener
from tenants.actors import Actor

NOT_IN_CLUSTER = _("This gateway is not in the chosen cluster. Choose another one.")
NAME_TAKEN = _("Another gateway has this name. Choose another one.")
CLASS_IS_FIXED = _(
    "The class cannot change while publishes use this gateway: it selects their agents. "
    "Create another gateway."
)


@dataclass(frozen=True, kw_only=True)
class ListenerFields:
    """A checked listener. Without a name, it is named after protocol and port."""

    port: int
    protocol: str
    name: str = ""

    @property
    def full_name(self) -> str:
        """Its name; by default `https-443`."""
        return self.name or f"{self.protocol.lower()}-{self.port}"


@dataclass(frozen=True, kw_only=True)
class GatewayFields:
    """A checked gateway with its listeners and clusters."""

    name: str
    gateway_class: str
    status: str
    listeners: tuple[ListenerFields, ...]
    cluster_ids: frozenset[UUID]


@transaction.atomic
def create_gateway(actor: Actor, *, fields: GatewayFields) -> Gateway:
    """Create a gateway with listeners and clusters. Raises Invalid for a used name or a closed cluster."""
    actor.require_write()
    gateway = Gateway(
        tenant_id=actor.tenant_id, name=fields.name, gateway_class=fields.gateway_class, status=fields.status
    )
    save_named(gateway, name_taken=NAME_TAKEN)
    _put_listeners(gateway, fields.listeners)
    _put_places(actor, gateway, fields.cluster_ids)
    return gateway


@transaction.atomic
def update_gateway(
    actor: Actor, gateway_id: UUID, *, fields: GatewayFields, revision: int | None = None
) -> Gateway:
    """Change a gateway. Raises Invalid when publishes use its class, or a cluster that would be removed.

    Optimistic lock: raises ChangedMeanwhile when `revision` is not the current one (None: any).
    """
    gateway = lock_gateway(actor, gateway_id)
    refuse_if_changed(gateway, revision=revision)
    uses = uses_of(gateway)
    if uses and fields.gateway_class != gateway.gateway_class:
        raise Invalid(fields={"gateway_class": [CLASS_IS_FIXED]})
    refuse_removed_clusters(uses, staying=fields.cluster_ids)
    gateway.name, gateway.gateway_class, gateway.status = fields.name, fields.gateway_class, fields.status
    save_named(gateway, columns=("name", "gateway_class", "status"), name_taken=NAME_TAKEN)
    _put_listeners(gateway, fields.listeners)
    _put_places(actor, gateway, fields.cluster_ids)
    return gateway


@transaction.atomic
def delete_gateway(actor: Actor, gateway_id: UUID) -> None:
    """Delete a gateway that no publish uses or ever used. Raises GatewayInUse."""
    gateway = lock_gateway(actor, gateway_id)
    uses = uses_of(gateway)
    if current_uses := [use for use in uses if use.hold != Hold.HISTORY]:
        raise GatewayInUse(
            _("Publishes use this gateway: %(uses)s. Withdraw and delete those first.")
            % {"uses": names_of(current_uses)}
        )
    if uses:
        raise GatewayInUse(
            _(
                "Publishes used this gateway, and their history is kept. "
                "Deactivate it instead, so that nobody can choose it."
            )
        )
    gateway.delete()


def refuse_removed_clusters(uses: list[Use], *, staying: frozenset[UUID]) -> None:
    """Raises Invalid when a publish uses, or used, a cluster that would be removed."""
    if stranded := [use for use in uses if use.cluster_id not in staying]:
        raise Invalid(
            fields={
                "clusters": [
                    _("Publishes of this gateway use, or used, a cluster that you remove: %(uses)s.")
                    % {"uses": names_of(stranded)}
                ]
            }
        )


def choosable_clusters(actor: Actor, gateway: Gateway | None) -> QuerySet[Cluster]:
    """The clusters that the tenant may use, and the gateway's current ones; with `is_open`."""
    is_open = open_to(actor.tenant_id)
    standing = GatewayCluster.objects.filter(gateway=gateway, cluster=OuterRef("pk"))
    rows = Cluster.objects.annotate(is_open=is_open)
    return (
        rows.filter(is_open=True) if gateway is None else rows.filter(Q(is_open=True) | Q(Exists(standing)))
    )


def lock_gateway(actor: Actor, gateway_id: UUID) -> Gateway:
    """The gateway, locked until the transaction ends, for a writer. Raises NotFound, then Forbidden."""
    return Gateway.objects.lock_for(actor, gateway_id)


def hold_place(actor: Actor, gateway: Gateway, *, cluster: Cluster) -> None:
    """Lock the gateway's place in the cluster until the transaction ends. Raises Invalid when it is gone."""
    is_locked = (
        Gateway.objects.visible_to(actor).select_for_update(no_key=True).filter(pk=gateway.pk).exists()
    )
    if not is_locked or not GatewayCluster.objects.filter(gateway=gateway, cluster=cluster).exists():
        raise Invalid(fields={"gateway": [NOT_IN_CLUSTER]})


def _put_listeners(gateway: Gateway, desired: tuple[ListenerFields, ...]) -> None:
    if sorted((listener.full_name, listener.port, listener.protocol) for listener in desired) == sorted(
        gateway.listeners.values_list("name", "port", "protocol")
    ):
        return
    gateway.listeners.all().delete()
    Listener.objects.bulk_create(
        Listener(gateway=gateway, name=listener.full_name, port=listener.port, protocol=listener.protocol)
        for listener in desired
    )


def _put_places(actor: Actor, gateway: Gateway, desired_ids: frozenset[UUID]) -> None:
    actual_ids = set(gateway.places.values_list("cluster_id", flat=True))
    if desired_ids == actual_ids:
        return
    if desired_ids - set(
        choosable_clusters(actor, gateway).filter(pk__in=desired_ids).values_list("pk", flat=True)
    ):
        raise Invalid(
            fields={"clusters": [_("One of these clusters no longer exists. Load the page again.")]}
        )
    gateway.places.filter(cluster_id__in=actual_ids - desired_ids).delete()
    GatewayCluster.objects.bulk_create(
        GatewayCluster(gateway=gateway, cluster_id=new) for new in desired_ids - actual_ids
    )
