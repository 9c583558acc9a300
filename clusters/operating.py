"""What operators change of clusters and agents. Only the admin calls this; codes, keys and blocks are in `services` and `agent_keys`."""

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
    """Make a cluster, or keep its new values; exactly these tenants may use it, or all while it is open to all.

    What a tenant that may not use it any more has live there stays live, and can only be withdrawn.
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
    """Delete a cluster in which no gateway stands, with its agents. Raises ClusterInUse."""
    log.info("cluster_deleted", cluster=cluster.name, by=by)
    try:
        cluster.delete()
    except ProtectedError as problem:
        raise ClusterInUse from problem


@transaction.atomic
def add_agent(agent: Agent, *, by: str) -> None:
    """An agent that has no program yet; an enrolment code lets one become it."""
    agent.save(force_insert=True)
    liveness.record(agent, AgentEvent.Kind.ADDED, by=by)


@transaction.atomic
def remove_agent(agent: Agent, *, by: str) -> None:
    """Say that an agent's gateway serves nothing any more: hosts that waited for its word are released by the next sweep."""
    liveness.record(agent, AgentEvent.Kind.REMOVED, by=by)
    agent.delete()
