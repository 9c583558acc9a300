"""The upstream fence as the control plane sees it, checked before anything is sent; the agent checks again."""

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from agent.protocol import fence
from clusters.models import AgentLiveness
from core.problems import Text
from publishes import errors, spec
from publishes.models import ProductPublish

_REASONS: dict[str, Text] = {
    "unresolvable": _("its host has no address."),
    "special_address": _("its host is a loopback, link-local or otherwise special address."),
    "not_allowed": _("its address is outside the networks allowed for this cluster."),
    "reserved": _("it is a port of the gateway or of imp-gateway itself."),
}


def check(publish: ProductPublish) -> None:
    """Raises UpstreamRefused for the first service whose upstream is outside the cluster's fence.

    Resolves host names, so it must be called without an open transaction.
    """
    around = fence_of(publish)
    for service in spec.select(publish.product).services:
        try:
            fence.check(service.upstream_host, service.upstream_port, around)
        except fence.FenceRefused as refusal:
            raise errors.UpstreamRefused(errors.UpstreamRefused.detail % {"service": service.name, "reason": _REASONS[refusal.code]}) from refusal


def fence_of(publish: ProductPublish) -> fence.Fence:
    """The cluster's networks, less our own endpoints and those that its agents reported."""
    reported = AgentLiveness.objects.filter(agent__cluster_id=publish.cluster_id).values_list("reserved", flat=True)
    return fence.Fence.of(publish.cluster.upstream_networks, [*settings.RESERVED_ENDPOINTS, *(endpoint for row in reported for endpoint in row)])
