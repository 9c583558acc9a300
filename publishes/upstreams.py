"""Upstreams as the control plane sees them: the fence, checked before anything is sent (the agent checks again), and whether something listens."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from agent.protocol import fence
from clusters.models import AgentLiveness, Cluster
from core import outbound
from core.deadlines import within
from core.problems import Text
from products.models import ApiService
from publishes import errors, spec
from publishes.models import ProductPublish

LOOK_UP_S = 3.0
"""How long a publish waits for all of its names together."""

CONNECT_S = 1.0
"""How long the page of a service waits for connections to an upstream."""

Addresses = tuple[fence.Address, ...]
_REASONS: dict[str, Text] = {
    "unresolvable": _("its host has no address."),
    "special_address": _("its host is a loopback, link-local or otherwise special address."),
    "not_allowed": _("its address is outside the networks allowed for this cluster."),
    "reserved": _("it is a port of the gateway or of imp-gateway itself."),
    "too_slow": _("its host could not be looked up in time. Try again in a moment."),
}


def check(publish: ProductPublish) -> None:
    """Raises UpstreamRefused for the first service whose upstream is outside the cluster's fence.

    Resolves host names for three seconds at most, so it must be called without an open transaction.
    """
    services = spec.select(publish.product).services
    found = look_up(services, publish.cluster, deadline_s=LOOK_UP_S)
    for service in services:
        if refusal := found.get(service, refused(service, "too_slow")):
            raise refusal


def look_up(services: tuple[ApiService, ...], cluster: Cluster, *, deadline_s: float) -> dict[ApiService, errors.UpstreamRefused | None]:
    """Why each service's upstream may not be reached, None when it may; a service whose name was not found in time is not in the result."""
    until = monotonic() + deadline_s
    fences = within(deadline_s, {"fence": fence_of(cluster)})
    return within(until - monotonic(), {service: partial(_refusal, service, fences["fence"]) for service in services}) if fences else {}


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What was tried for one cluster: its fence, and a connection from here to an address inside it.

    `reason` says why the fence refuses, empty when it does not; `connects` is None when nothing answered in time.
    """

    cluster: Cluster
    reason: Text = ""
    connects: bool | None = None


def advise(host: str, port: int, clusters: Sequence[Cluster]) -> list[Advice]:
    """What each cluster's fence says of an upstream that is not published yet, and whether something listens there.

    One query; waits three seconds for names and one for connections at most. What no fence lets through is not connected to.
    """
    reported: dict[UUID, list[str]] = {}
    for cluster_id, endpoints in AgentLiveness.objects.filter(agent__cluster__in=clusters).values_list("agent__cluster_id", "reserved"):
        reported.setdefault(cluster_id, []).extend(endpoints)
    jobs = {
        cluster: partial(_checked, host, port, cluster.upstream_networks, [*settings.RESERVED_ENDPOINTS, *reported.get(cluster.pk, [])]) for cluster in clusters
    }
    checked = within(LOOK_UP_S, jobs)
    allowed = {result for result in checked.values() if isinstance(result, tuple)}
    tried = within(CONNECT_S, {addresses: partial(_try_connect, addresses, port) for addresses in allowed})
    return [_advice(cluster, checked.get(cluster, "too_slow"), tried) for cluster in clusters]


def _advice(cluster: Cluster, result: Addresses | str, tried: Mapping[Addresses, bool | None]) -> Advice:
    if isinstance(result, str):
        return Advice(cluster=cluster, reason=_REASONS[result])
    return Advice(cluster=cluster, connects=tried.get(result))


def _try_connect(addresses: Addresses, port: int) -> bool | None:
    # Less than is waited for, so that an answer is not lost to the end of the waiting.
    return outbound.connects(addresses, port, deadline_s=CONNECT_S * 0.8)


def fence_of(cluster: Cluster) -> Callable[[], fence.Fence]:
    """The cluster's networks, less our own endpoints and those that its agents reported. One query now; names are resolved when it is called."""
    reported = AgentLiveness.objects.filter(agent__cluster=cluster).values_list("reserved", flat=True)
    reserved = [*settings.RESERVED_ENDPOINTS, *(endpoint for row in reported for endpoint in row)]
    return partial(fence.Fence.of, cluster.upstream_networks, reserved)


def refused(service: ApiService, code: str) -> errors.UpstreamRefused:
    """The refusal in words."""
    return errors.UpstreamRefused(errors.UpstreamRefused.detail % {"service": service.name, "reason": _REASONS[code]})


def _checked(host: str, port: int, networks: Sequence[str], reserved: Sequence[str]) -> Addresses | str:
    """The addresses inside the fence, or the refusal's code."""
    try:
        return tuple(fence.check(host, port, fence.Fence.of(networks, reserved)))
    except fence.FenceRefused as refusal:
        return refusal.code


def _refusal(service: ApiService, around: fence.Fence) -> errors.UpstreamRefused | None:
    try:
        fence.check(service.upstream_host, service.upstream_port, around)
    except fence.FenceRefused as refusal:
        return refused(service, refusal.code)
    return None
