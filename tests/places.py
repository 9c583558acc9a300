"""More clusters and gateways for the wizard to offer."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from clusters.models import Agent, AgentLiveness, Cluster
from gateways.models import Gateway, GatewayCluster
from tests.world import World


def cluster(name: str, *, agents: int = 1, connected: int = 1, **fields: Any) -> Cluster:
    """One more cluster with so many enrolled agents, of which so many are connected."""
    new_cluster = Cluster.objects.create(
        name=name, region="kr-busan", host_suffixes=["busan.test"], open_to_all=True, **fields
    )
    for number in range(agents):
        agent = Agent.objects.create(cluster=new_cluster, name=f"agent-{number}", driver="envoy")
        last_seen_at = timezone.now() - timedelta(minutes=0 if number < connected else 90)
        AgentLiveness.objects.create(
            agent=agent, last_seen_at=last_seen_at, gateway_ok=True, gateway_version="1.40.0"
        )
    return new_cluster


def gateway(world: World, name: str, *places: Cluster, **fields: Any) -> Gateway:
    """One more gateway of the tenant in those clusters."""
    new_gateway = Gateway.objects.create(tenant=world.tenant, name=name, **fields)
    for place in places:
        GatewayCluster.objects.create(gateway=new_gateway, cluster=place)
    return new_gateway
