"""Check upstreams before a spec is sent: by the fence (the agent checks again), and by a connection."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext_lazy as _

import fence
from clusters.models import AgentLiveness, Cluster
from core.problems import Text
from core.security import outbound
from core.security.names import UPSTREAMS, fence_around
from products.models import ApiService
from publishes import errors, spec
from publishes.models import ProductPublish
from tenants.actors import Actor

LOOK_UP_S = 3.0
"""How long a publish waits for all of its names together."""

CONNECT_S = 1.0
"""How long the page of a service waits for connections to an upstream."""

Addresses = tuple[fence.Address, ...]
_REASONS: dict[str, Text] = {
    "unresolvable": _("its host has no address."),
    "special_address": _("its host is a loopback, link-local, metadata or otherwise special address."),
    "not_allowed": _(
        "its address is private, or otherwise outside the networks that operators opened for this cluster."
    ),
    "reserved": _("it is a port of the gateway or of imp-gateway itself."),
    "too_slow": _("its host could not be looked up in time. Try again in a moment."),
}


def check(publish: ProductPublish) -> None:
    """Raises UpstreamRefused for the first service whose upstream is outside the cluster's fence.

    Resolves host names for three seconds at most, so it must be called without an open transaction.
    """
    services = spec.select(publish.product).services
    refusals = look_up(services, publish.cluster, deadline_s=LOOK_UP_S)
    for service in services:
        if refusal := refusals.get(service, refused(service, "too_slow")):
            raise refusal


def look_up(
    services: tuple[ApiService, ...], cluster: Cluster, *, deadline_s: float
) -> dict[ApiService, errors.UpstreamRefused | None]:
    """Why each service's upstream is refused, None when it is not; without services not looked up in time."""
    until = monotonic() + deadline_s
    around = _fences([cluster], deadline_s=deadline_s)[cluster]
    hosts, owner = (
        [service.upstream_host for service in services],
        next((service.tenant_id for service in services), None),
    )
    resolver = UPSTREAMS.find([hosts], deadline_s=until - monotonic(), owner=owner)
    codes = {
        service: _code(service.upstream_host, service.upstream_port, around, resolver) for service in services
    }
    return {
        service: refused(service, code) if code else None
        for service, code in codes.items()
        if code != "too_slow"
    }


@dataclass(frozen=True, kw_only=True)
class Advice:
    """The result for one cluster: its fence, and a connection from here to an address inside it.

    `reason` says why the fence refuses, empty when it does not; `connects` is None when nothing answered in
    time.
    """

    cluster: Cluster
    reason: Text = ""
    connects: bool | None = None


def advise(actor: Actor, *, host: str, port: int, clusters: Sequence[Cluster]) -> list[Advice]:
    """The result of each cluster's fence for an unpublished upstream, and whether something listens.

    One query; waits three seconds for names and one for connections at most. No connection leaves the fence.
    """
    until = monotonic() + LOOK_UP_S
    fences = _fences(clusters, deadline_s=LOOK_UP_S)
    resolver = UPSTREAMS.find([[host]], deadline_s=until - monotonic(), owner=actor.tenant_id)
    checked = {cluster: _checked(host, port, fences[cluster], resolver) for cluster in clusters}
    allowed = {result for result in checked.values() if isinstance(result, tuple)}
    connections = outbound.connections(allowed, port, deadline_s=CONNECT_S) if allowed else {}
    return [_advice(cluster, checked[cluster], connections) for cluster in clusters]


def _advice(
    cluster: Cluster, result: Addresses | str, connections: Mapping[Addresses, bool | None]
) -> Advice:
    if isinstance(result, str):
        return Advice(cluster=cluster, reason=_REASONS[result])
    return Advice(cluster=cluster, connects=connections[result])


def _fences(clusters: Sequence[Cluster], *, deadline_s: float) -> dict[Cluster, fence.Fence]:
    """Each cluster's networks, less our own endpoints and those that its agents reported. One query."""
    reported: dict[UUID, list[str]] = {}
    for cluster_id, endpoints in AgentLiveness.objects.filter(agent__cluster__in=clusters).values_list(
        "agent__cluster_id", "reserved"
    ):
        reported.setdefault(cluster_id, []).extend(endpoints)
    until = monotonic() + deadline_s
    return {
        cluster: fence_around(
            cluster.upstream_networks,
            [*settings.RESERVED_ENDPOINTS, *reported.get(cluster.pk, [])],
            deadline_s=until - monotonic(),
        )
        for cluster in clusters
    }


def refused(service: ApiService, code: str) -> errors.UpstreamRefused:
    """The refusal of a service, with the message for its code."""
    return errors.UpstreamRefused(
        errors.UpstreamRefused.detail % {"service": service.name, "reason": _REASONS[code]}
    )


def _checked(host: str, port: int, around: fence.Fence, resolver: fence.Resolver) -> Addresses | str:
    """The addresses inside the fence, or the refusal's code: too_slow for a name without an answer."""
    try:
        return tuple(fence.check(host, port, around, resolver=resolver))
    except fence.FenceRefused as refusal:
        return "too_slow" if isinstance(refusal.__cause__, TimeoutError) else refusal.code


def _code(host: str, port: int, around: fence.Fence, resolver: fence.Resolver) -> str:
    """The refusal's code; empty when there is none."""
    result = _checked(host, port, around, resolver)
    return result if isinstance(result, str) else ""
