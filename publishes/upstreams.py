"""The upstream fence as the control plane sees it, checked before anything is sent; the agent checks again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext_lazy as _

import fence
from clusters.models import AgentLiveness, Cluster
from core.deadlines import within
from core.problems import Text
from products.models import ApiService
from publishes import errors, spec
from publishes.models import ProductPublish

LOOK_UP_S = 3.0
"""How long a publish waits for all of its names together."""

_REASONS: dict[str, Text] = {
    "unresolvable": _("its host has no address."),
    "special_address": _("its host is a loopback, link-local, metadata or otherwise special address."),
    "not_allowed": _("its address is private, or otherwise outside the networks that operators opened for this cluster."),
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
    """Whether an upstream may be reached from a cluster; `reason` is empty when it may."""

    cluster: Cluster
    reason: Text = ""


def advise(host: str, port: int, clusters: Sequence[Cluster]) -> list[Advice]:
    """What the fence of each cluster says of an upstream that is not published yet. One query; waits three seconds for names at most."""
    reported: dict[UUID, list[str]] = {}
    for cluster_id, endpoints in AgentLiveness.objects.filter(agent__cluster__in=clusters).values_list("agent__cluster_id", "reserved"):
        reported.setdefault(cluster_id, []).extend(endpoints)
    jobs = {
        cluster: partial(_code, host, port, cluster.upstream_networks, [*settings.RESERVED_ENDPOINTS, *reported.get(cluster.pk, [])]) for cluster in clusters
    }
    found = within(LOOK_UP_S, jobs)
    return [Advice(cluster=cluster, reason=_REASONS.get(found.get(cluster, "too_slow"), "")) for cluster in clusters]


def fence_of(cluster: Cluster) -> Callable[[], fence.Fence]:
    """The cluster's networks, less our own endpoints and those that its agents reported. One query now; names are resolved when it is called."""
    reported = AgentLiveness.objects.filter(agent__cluster=cluster).values_list("reserved", flat=True)
    reserved = [*settings.RESERVED_ENDPOINTS, *(endpoint for row in reported for endpoint in row)]
    return partial(fence.Fence.of, cluster.upstream_networks, reserved)


def refused(service: ApiService, code: str) -> errors.UpstreamRefused:
    """The refusal in words."""
    return errors.UpstreamRefused(errors.UpstreamRefused.detail % {"service": service.name, "reason": _REASONS[code]})


def _code(host: str, port: int, networks: Sequence[str], reserved: Sequence[str]) -> str:
    """The refusal's code; empty when there is none."""
    try:
        fence.check(host, port, fence.Fence.of(networks, reserved))
    except fence.FenceRefused as refusal:
        return refusal.code
    return ""


def _refusal(service: ApiService, around: fence.Fence) -> errors.UpstreamRefused | None:
    try:
        fence.check(service.upstream_host, service.upstream_port, around)
    except fence.FenceRefused as refusal:
        return refused(service, refusal.code)
    return None
