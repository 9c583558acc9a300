"""The rows that benches create in a demo's database, by the services that pages and API call."""

import itertools
import socket
from collections.abc import Callable
from uuid import UUID

from django.utils import timezone

import config
from clusters.models import Agent, AgentLiveness, Cluster
from clusters.services import create_enrolment_code
from gateways.models import Gateway, GatewayCluster
from products.models import Product
from publishes.choices import Status
from publishes.models import ProductPublish
from publishes.verbs import deleting, publishing, withdrawing
from publishes.verbs import drafts as drafts_verbs
from tenants.actors import Actor, Role

_numbers = itertools.count()
app = config.app  # wake-ups go to the demo's broker


def make_cluster(name: str) -> Cluster:
    """A cluster of its own in which the demo's prod gateway stands."""
    cluster = Cluster.objects.create(
        name=name,
        region="bench",
        host_suffixes=["localhost"],
        upstream_networks=["127.0.0.0/8"],
        open_to_all=True,
    )
    GatewayCluster.objects.create(gateway=Gateway.objects.get(name="prod-gateway"), cluster=cluster)
    return cluster


def code(cluster: Cluster, agent: str) -> str:
    """A one-time code."""
    return create_enrolment_code(cluster, agent_name=agent)


def connected(cluster: Cluster) -> int:
    """How many agents of the cluster are connected, with gateways that answer."""
    return Agent.objects.connected().filter(cluster=cluster, liveness__gateway_ok=True).count()


def drafts(cluster: Cluster, product_id: str, number: int) -> list[ProductPublish]:
    """Drafts of the product."""
    product, gateway = Product.objects.get(pk=product_id), Gateway.objects.get(name="prod-gateway")
    return [
        drafts_verbs.create_publish(
            _actor(product), product, settings=_settings(cluster, gateway, f"{cluster.name}-{n}.localhost")
        )
        for n in range(number)
    ]


def publish(draft: ProductPublish) -> None:
    """Ask for it."""
    publishing.request_publish(_actor(draft.product), draft.pk)


def count(cluster: Cluster, *, status: str) -> int:
    """How many publishes of the cluster have the status."""
    return ProductPublish.objects.filter(cluster=cluster, status=status, deleted_at=None).count()


def status_of(publish_id: UUID) -> str:
    """A publish's status."""
    return ProductPublish.objects.values_list("status", flat=True).get(pk=publish_id)


def draft_on(cluster: str, product_id: str, host: str) -> ProductPublish:
    """A draft on one of the demo's own clusters."""
    product, place = (
        Product.objects.get(pk=product_id),
        GatewayCluster.objects.select_related("gateway", "cluster").filter(cluster__name=cluster),
    )
    standing = place.get(gateway__tenant=product.tenant_id)
    return drafts_verbs.create_publish(
        _actor(product), product, settings=_settings(standing.cluster, standing.gateway, host)
    )


def take_off_publish(publish: ProductPublish, wait: Callable[[Callable[[], bool]], None]) -> None:
    """Withdraw and delete it."""
    withdrawing.request_withdraw(_actor(publish.product), publish.pk, reason="bench")
    wait(lambda: status_of(publish.pk) == Status.WITHDRAWN)
    deleting.request_delete(_actor(publish.product), publish.pk)
    wait(lambda: not ProductPublish.objects.filter(pk=publish.pk, deleted_at=None).exists())


def take_off(cluster: Cluster, wait: Callable[[Callable[[], bool]], None]) -> None:
    """Withdraw and delete all of the cluster."""
    rows = list(ProductPublish.objects.filter(cluster=cluster, deleted_at=None).select_related("product"))
    for row in rows:
        withdrawing.request_withdraw(_actor(row.product), row.pk, reason="bench")
    wait(lambda: count(cluster, status=Status.WITHDRAWN) == len(rows))
    for row in rows:
        deleting.request_delete(_actor(row.product), row.pk)
    wait(lambda: not ProductPublish.objects.filter(cluster=cluster, deleted_at=None).exists())


def forget_agents(cluster: Cluster) -> None:
    """Their gateways are gone."""
    Agent.objects.filter(cluster=cluster).delete()


def add_frozen_agents(cluster: Cluster, number: int) -> list[socket.socket]:
    """Agents with a fresh heartbeat, whose ports take connections and never answer."""
    doors = []
    for _ in range(number):
        door = socket.create_server(("127.0.0.1", 0), backlog=64)
        port = door.getsockname()[1]
        agent = Agent.objects.create(
            cluster=cluster, name=f"frozen-{next(_numbers)}", driver="envoy", url=f"http://127.0.0.1:{port}"
        )
        AgentLiveness.objects.create(agent=agent, last_seen_at=timezone.now(), gateway_ok=True)
        doors.append(door)
    return doors


def keep_fresh(cluster: Cluster) -> None:
    """Give the frozen agents a fresh heartbeat."""
    AgentLiveness.objects.filter(agent__cluster=cluster).update(last_seen_at=timezone.now())


def _actor(product: Product) -> Actor:
    return Actor(tenant_id=product.tenant_id, role=Role.OWNER, label="bench")


def _settings(cluster: Cluster, gateway: Gateway, host: str) -> drafts_verbs.Settings:
    return drafts_verbs.Settings(
        cluster=cluster,
        gateway=gateway,
        environment="prod",
        auth_mode="none",
        auth_config={},
        visibility="public",
        approval_required=True,
        hostname_base=host,
    )
