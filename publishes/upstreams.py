"""The upstream fence as the control plane sees it, checked before anything is sent; the agent checks again."""

from collections.abc import Callable
from functools import partial
from time import monotonic

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from agent.protocol import fence
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


def fence_of(cluster: Cluster) -> Callable[[], fence.Fence]:
    """The cluster's networks, less our own endpoints and those that its agents reported. One query now; names are resolved when it is called."""
    reported = AgentLiveness.objects.filter(agent__cluster=cluster).values_list("reserved", flat=True)
    reserved = [*settings.RESERVED_ENDPOINTS, *(endpoint for row in reported for endpoint in row)]
    return partial(fence.Fence.of, cluster.upstream_networks, reserved)


def refused(service: ApiService, code: str) -> errors.UpstreamRefused:
    """The refusal in words."""
    return errors.UpstreamRefused(errors.UpstreamRefused.detail % {"service": service.name, "reason": _REASONS[code]})


def _refusal(service: ApiService, around: fence.Fence) -> errors.UpstreamRefused | None:
    try:
        fence.check(service.upstream_host, service.upstream_port, around)
    except fence.FenceRefused as refusal:
        return refused(service, refusal.code)
    return None
