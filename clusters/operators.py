"""Services of operators for clusters and agents. Only the admin calls them.

Codes and blocks are in `services`, keys in `agent_keys`.
"""

from collections.abc import Iterable

import structlog
from django.db import transaction
from django.db.models import ProtectedError

from clusters import liveness
from clusters.errors import ClusterInUse
from clusters.models import Agent, AgentEvent, Cluster
from tenants.models import Tenant

log = structlog.get_logger(__name__)


@transaction.atomic
def save_cluster(cluster: Cluster, *, tenants: Iterable[Tenant], by: str) -> None:
    """Create or change a cluster. Exactly these tenants may use it, or all while it is open to all.

    A tenant that may no longer use it keeps its live publishes, and can only withdraw them.
    """
    cluster.save()
    cluster.tenants.set(tenants)
    log.info(
        "cluster_saved",
        cluster=cluster.name,
        open_to_all=cluster.open_to_all,
        tenants=sorted(tenant.slug for tenant in tenants),
        by=by,
    )


@transaction.atomic
def delete_cluster(cluster: Cluster, *, by: str) -> None:
    """Delete a cluster without gateways, with its agents. Raises ClusterInUse."""
    log.info("cluster_deleted", cluster=cluster.name, by=by)
    try:
        cluster.delete()
    except ProtectedError as problem:
        raise ClusterInUse from problem


@transaction.atomic
def add_agent(agent: Agent, *, by: str) -> None:
    """Add an agent. An enrolment code lets a program become it."""
    agent.save(force_insert=True)
    liveness.record(agent, AgentEvent.Kind.ADDED, by=by)


@transaction.atomic
def remove_agent(agent: Agent, *, by: str) -> None:
    """Remove an agent whose gateway serves nothing more. The next sweep releases hosts that waited for it."""
    liveness.record(agent, AgentEvent.Kind.REMOVED, by=by)
    agent.delete()
