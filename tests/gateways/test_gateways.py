"""Gateways: listeners and clusters change as one, and what publishes use stays."""

from typing import Any

import pytest

from clusters.models import Cluster
from core.problems import ChangedMeanwhile, Forbidden, Invalid, NotFound
from core.usage import uses_of
from gateways import services
from gateways.errors import GatewayInUse
from gateways.forms import checked_gateway
from gateways.models import Gateway
from publishes.verbs import deleting
from tests.world import World


def edge(world: World, **changes: Any) -> dict[str, Any]:
    return {
        "name": "edge",
        "clusters": [world.cluster.pk],
        "listeners": [{"port": 80}, {"port": 443, "protocol": "HTTPS"}],
    } | changes


def make(world: World, **changes: Any) -> Gateway:
    return services.create_gateway(world.actor, fields=checked_gateway(world.actor, edge(world, **changes)))


def change(world: World, gateway: Gateway, changes: dict[str, Any], **kwargs: Any) -> Gateway:
    fields = checked_gateway(world.actor, changes, gateway=gateway, uses=uses_of(gateway))
    return services.update_gateway(world.actor, gateway.pk, fields=fields, **kwargs)


def shown(gateway: Gateway) -> tuple[str, str, str, list[str], list[str]]:
    gateway.refresh_from_db()
    listeners = [
        f"{listener.name}={listener.port}/{listener.protocol}" for listener in gateway.listeners.all()
    ]
    return (
        gateway.name,
        gateway.gateway_class,
        gateway.status,
        listeners,
        [cluster.name for cluster in gateway.clusters.all()],
    )


def test_a_gateway_is_made_with_its_listeners_and_clusters(world: World) -> None:
    assert shown(make(world)) == (
        "edge",
        "envoy",
        "active",
        ["http-80=80/HTTP", "https-443=443/HTTPS"],
        ["acme-kr"],
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"listeners": [{"port": 80}, {"port": 80, "protocol": "HTTPS"}]}, "listeners.1.port"),
        ({"listeners": [{"port": 80, "name": "web"}, {"port": 81, "name": "web"}]}, "listeners.1.name"),
        ({"listeners": [{"port": 80, "name": "http-81"}, {"port": 81}]}, "listeners.1.name"),
        ({"listeners": [{"port": 0}]}, "listeners.0.port"),
        ({"listeners": [{"port": 65536}]}, "listeners.0.port"),
        ({"listeners": [{"port": 80, "protocol": "TCP"}]}, "listeners.0.protocol"),
        ({"listeners": [{}]}, "listeners.0.port"),
        ({"listeners": []}, "listeners"),
        ({"listeners": [{"port": port} for port in range(1, 22)]}, "listeners"),
        ({"clusters": []}, "clusters"),
        ({"clusters": ["00000000-0000-0000-0000-000000000000"]}, "clusters"),
        ({"name": "Edge Gateway"}, "name"),
        ({"name": "dev-gateway"}, "name"),
        ({"gateway_class": "nginx"}, "gateway_class"),
    ],
)
def test_a_field_that_is_not_right_is_named(world: World, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked_gateway(world.actor, edge(world, **changes))
    assert list(refused.value.fields) == [field]


def test_while_publishes_use_it_its_class_and_their_clusters_stay(world: World) -> None:
    far = Cluster.objects.create(
        name="kr-far", region="kr-busan", host_suffixes=["localhost"], open_to_all=True
    )
    change(world, world.gateway, {"clusters": [world.cluster.pk, far.pk], "listeners": [{"port": 80}]})
    world.draft()
    with pytest.raises(Invalid) as refused:
        change(world, world.gateway, {"gateway_class": "kong", "clusters": [far.pk]})
    assert sorted(refused.value.fields) == ["clusters", "gateway_class"]
    assert "Payment API v2.0" in str(refused.value.fields["clusters"][0])
    changes = {
        "name": "renamed",
        "clusters": [world.cluster.pk],
        "status": "inactive",
        "listeners": [{"port": 8080}],
    }
    assert shown(change(world, world.gateway, changes)) == (
        "renamed",
        "envoy",
        "inactive",
        ["http-8080=8080/HTTP"],
        ["acme-kr"],
    )


def test_the_service_itself_refuses_what_the_form_did_not_see(world: World) -> None:
    world.draft()
    unseen = checked_gateway(
        world.actor, {"gateway_class": "kong", "listeners": [{"port": 80}]}, gateway=world.gateway
    )
    with pytest.raises(Invalid):
        services.update_gateway(world.actor, world.gateway.pk, fields=unseen)
    far = Cluster.objects.create(
        name="kr-far", region="kr-busan", host_suffixes=["localhost"], open_to_all=True
    )
    unseen = checked_gateway(
        world.actor, {"clusters": [far.pk], "listeners": [{"port": 80}]}, gateway=world.gateway
    )
    with pytest.raises(Invalid):
        services.update_gateway(world.actor, world.gateway.pk, fields=unseen)
    assert shown(world.gateway)[1:] == ("envoy", "active", [], ["acme-kr"])


def test_a77_a_gateway_that_publishes_use_or_used_is_not_deleted(world: World) -> None:
    publish = world.withdrawn()
    with pytest.raises(GatewayInUse) as present:
        services.delete_gateway(world.actor, world.gateway.pk)
    assert "Payment API v2.0 · Development" in str(present.value.detail)
    deleting.request_delete(world.actor, publish.pk)
    world.everybody_confirms()
    with pytest.raises(GatewayInUse) as past:
        services.delete_gateway(world.actor, world.gateway.pk)
    assert "Deactivate it" in str(past.value.detail)
    unused = make(world)
    services.delete_gateway(world.actor, unused.pk)
    assert list(Gateway.objects.all()) == [world.gateway]


def test_what_is_left_out_stays_and_every_change_is_seen(world: World) -> None:
    gateway = make(world)
    changed = change(world, gateway, {"listeners": [{"port": 9090, "name": "web"}]}, revision=1)
    assert shown(changed) == ("edge", "envoy", "active", ["web=9090/HTTP"], ["acme-kr"])
    assert changed.revision == 2
    with pytest.raises(ChangedMeanwhile):
        change(world, gateway, {"name": "mine"}, revision=1)
    again = change(world, Gateway.objects.get(pk=gateway.pk), {"status": "inactive"})
    assert shown(again) == ("edge", "envoy", "inactive", ["web=9090/HTTP"], ["acme-kr"])


def test_a24_another_tenants_gateway_is_not_there_and_a_viewer_may_not(world: World, other: World) -> None:
    Cluster.objects.update(open_to_all=True)
    fields = checked_gateway(world.actor, edge(world))
    for actor, refusal in ((other.actor, NotFound), (world.viewer, Forbidden)):
        with pytest.raises(refusal):
            services.update_gateway(actor, world.gateway.pk, fields=fields)
        with pytest.raises(refusal):
            services.delete_gateway(actor, world.gateway.pk)
    with pytest.raises(Forbidden):
        services.create_gateway(world.viewer, fields=fields)
    services.create_gateway(other.actor, fields=fields)  # a name is used once in a tenant, not in the world
    services.create_gateway(world.actor, fields=fields)
    with pytest.raises(Invalid):
        services.create_gateway(world.actor, fields=fields)
    assert Gateway.objects.count() == 4
