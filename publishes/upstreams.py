"""The upstream fence as the control plane sees it, checked before anything is sent; the agent checks again."""

from collections.abc import Callable
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from agent.protocol import fence
from clusters.models import AgentLiveness, Cluster
from core.problems import Text
from products.models import ApiService
from publishes import errors, selectors, spec
from tenants.actors import Actor

_REASONS: dict[str, Text] = {
    "unresolvable": _("its host has no address."),
    "special_address": _("its host is a loopback, link-local or otherwise special address."),
    "not_allowed": _("its address is outside the networks allowed for this cluster."),
    "reserved": _("it is a port of the gateway or of imp-gateway itself."),
}


def check(actor: Actor, publish_id: UUID) -> None:
    """Raises UpstreamRefused for the first service whose upstream is outside the cluster's fence, or NotFound.

    Resolves host names, so it must be called without an open transaction.
    """
    publish = selectors.publish_of(actor, publish_id)
    around = fence_of(publish.cluster)()
    for service in spec.select(publish.product).services:
        if refusal := refusal_of(service, around):
            raise refusal


def fence_of(cluster: Cluster) -> Callable[[], fence.Fence]:
    """The cluster's networks, less our own endpoints and those that its agents reported. One query now; names are resolved when it is called."""
    reported = AgentLiveness.objects.filter(agent__cluster=cluster).values_list("reserved", flat=True)
    reserved = [*settings.RESERVED_ENDPOINTS, *(endpoint for row in reported for endpoint in row)]
    return lambda: fence.Fence.of(cluster.upstream_networks, reserved)


def refusal_of(service: ApiService, around: fence.Fence) -> errors.UpstreamRefused | None:
    """Why the service's upstream may not be reached; None when it may. Resolves its host name."""
    try:
        fence.check(service.upstream_host, service.upstream_port, around)
    except fence.FenceRefused as refusal:
        return errors.UpstreamRefused(errors.UpstreamRefused.detail % {"service": service.name, "reason": _REASONS[refusal.code]})
    return None
