"""Clusters, their agents, keys, codes and history, a concern a module."""

from clusters.models.agent import Agent, AgentLiveness, AgentQuerySet, connected, counting
from clusters.models.cluster import Cluster, ClusterQuerySet, ClusterTenant, open_to
from clusters.models.enrolment import EnrolmentCode
from clusters.models.event import AgentEvent
from clusters.models.key import AgentKey, AgentKeyQuerySet, UsedRequest

__all__ = [
    "Agent",
    "AgentEvent",
    "AgentKey",
    "AgentKeyQuerySet",
    "AgentLiveness",
    "AgentQuerySet",
    "Cluster",
    "ClusterQuerySet",
    "ClusterTenant",
    "EnrolmentCode",
    "UsedRequest",
    "connected",
    "counting",
    "open_to",
]
