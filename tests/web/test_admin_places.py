"""What operators cannot take away under a publish is refused in words."""

import pytest
from django.urls import reverse

from clusters.models import Cluster
from gateways.models import Gateway, GatewayCluster
from publishes import services
from tenants.models import User
from tests.web.browser import signed_in
from tests.world import World


def form_of(gateway: Gateway, *, cluster: Cluster, **more: str) -> dict[str, str]:
    """What the admin's page of a gateway with one place sends."""
    return {
        "name": gateway.name,
        "status": "active",
        "listeners-TOTAL_FORMS": "0",
        "listeners-INITIAL_FORMS": "0",
        "places-TOTAL_FORMS": "1",
        "places-INITIAL_FORMS": "1",
        "places-0-id": str(gateway.places.get().pk),
        "places-0-gateway": str(gateway.pk),
        "places-0-cluster": str(cluster.pk),
    } | more


@pytest.mark.parametrize("way", ["delete", "move"])
@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_gateway_is_not_taken_from_a_cluster_with_its_publishes(world: World, way: str, is_deleted: bool) -> None:
    publish = world.withdrawn()
    if is_deleted:
        services.request_delete(world.actor, publish.pk)
        world.everybody_confirms()
    other = Cluster.objects.create(name="other", region="kr", host_suffixes=["localhost"])
    change = {"places-0-DELETE": "on"} if way == "delete" else {}
    form = form_of(world.gateway, cluster=other if way == "move" else world.cluster, **change)
    operator = signed_in(User.objects.create_superuser("operator"))
    page = operator.post(reverse("admin:gateways_gateway_change", args=[world.gateway.pk]), form)
    assert page.status_code == 200
    assert "Publishes of this gateway are, or were, in a cluster that you take away: " in page.content.decode()
    assert GatewayCluster.objects.get(gateway=world.gateway).cluster == world.cluster


def test_a_gateway_is_taken_from_a_cluster_without_its_publishes(world: World) -> None:
    form = form_of(world.gateway, cluster=world.cluster, **{"places-0-DELETE": "on"})
    operator = signed_in(User.objects.create_superuser("operator"))
    assert operator.post(reverse("admin:gateways_gateway_change", args=[world.gateway.pk]), form).status_code == 302
    assert not GatewayCluster.objects.exists()
