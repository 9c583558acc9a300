"""The wizard's first two steps: which clusters and gateways it offers, which it refuses, and why."""

from typing import Any

import pytest
from django.urls import reverse

from clusters.models import AgentLiveness, Cluster
from gateways.models import Gateway, GatewayCluster, Listener
from tests.pages import html_of, text_of
from tests.places import cluster, gateway
from tests.publishes.pages.run import Run
from tests.world import World, nobody_knows


def test_a36_a41_clusters_tell_their_agents_and_last_sync(run: Run) -> None:
    cluster("busan", agents=3, connected=2)
    page = text_of(run.get("cluster"))
    assert "Choose the cluster to publish to" in page
    assert "busan Active kr-busan · 2 of 3 agents connected · last sync" in page


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"maintenance": True}, "This cluster is in maintenance"),
        ({"agents": 0}, "No agent of this cluster has been heard of yet"),
        ({"agents": 2, "connected": 0}, "No agent of this cluster is connected now"),
    ],
)
def test_a80_a_cluster_that_cannot_be_used_is_shown_with_the_reason_and_refused(
    run: Run, options: dict[str, Any], reason: str
) -> None:
    unusable = cluster("away", **options)
    page = html_of(run.get("cluster"))
    card = page[page.index(str(unusable.pk)) :].split("</label>")[0]
    assert " disabled" in card
    assert reason in card
    refused = run.post("cluster", cluster=unusable.pk)
    assert refused.status_code == 422
    assert text_of(refused).count(reason) == 2
    assert run.get("gateway").headers["Location"] == run.url("cluster")


def test_usable_clusters_stand_first_each_part_by_name(run: Run, world: World) -> None:
    for name, connected in (("zzz", 1), ("bbb-away", 0), ("aaa-away", 0), ("mmm", 1)):
        gateway(world, f"of {name}", cluster(name, connected=connected))
    page = text_of(run.get("cluster"))
    places = [page.index(f" {name} ") for name in (world.cluster.name, "mmm", "zzz", "aaa-away", "bbb-away")]
    assert places == sorted(places)


def test_a40_nothing_or_nonsense_chosen_is_refused(run: Run) -> None:
    assert "Choose a cluster." in text_of(run.post("cluster"))
    for nonsense in ("x", nobody_knows()):
        refused = run.post("cluster", cluster=nonsense)
        assert refused.status_code == 422
        assert "The cluster that you chose is not offered any more. Choose another one." in text_of(refused)
    assert run.post("cluster", cluster="").status_code == 422
    assert run.get("gateway").headers["Location"] == run.url("cluster")


def test_without_clusters_the_page_says_what_to_do(run: Run) -> None:
    GatewayCluster.objects.all().delete()
    Cluster.objects.all().delete()
    page = text_of(run.get("cluster"))
    assert (
        "There is no cluster for you yet Operators say which clusters your workspace may use. Ask one."
        in page
    )


def test_when_none_is_usable_the_page_says_what_to_do(run: Run, world: World) -> None:
    AgentLiveness.objects.all().delete()
    assert "None of the clusters can be used now. Ask an operator" in text_of(run.get("cluster"))


@pytest.mark.parametrize("status", [Gateway.Status.ACTIVE, Gateway.Status.INACTIVE])
def test_a_cluster_without_an_active_gateway_of_mine_is_no_dead_end(
    run: Run, world: World, other: World, status: str
) -> None:
    bare = cluster("bare")
    gateway(other, "theirs", bare)
    gateway(world, "mine", *([bare] if status == Gateway.Status.INACTIVE else []), status=status)
    page = html_of(run.get("cluster"))
    card = page[page.index(str(bare.pk)) :].split("</label>")[0]
    assert " disabled" in card
    assert "None of your active gateways stands in this cluster." in card
    assert f'href="{reverse("gateways:create")}"' in page
    assert run.post("cluster", cluster=bare.pk).status_code == 422


def test_a_single_usable_cluster_or_gateway_is_chosen_from_the_start(run: Run, world: World) -> None:
    cluster("away", connected=0)
    page = html_of(run.get("cluster"))
    assert f'value="{world.cluster.pk}" checked' in page
    run.choose(upto="gateway")
    assert f'value="{world.gateway.pk}" checked' in html_of(run.get("gateway"))
    gateway(world, "second", world.cluster)
    assert " checked" not in html_of(run.get("gateway"))
    gateway(world, "third", cluster("busan"))
    assert f'value="{world.cluster.pk}" checked' in html_of(run.get("cluster"))  # chosen by hand, and kept


@pytest.mark.parametrize("count", [8, 9])
def test_many_clusters_can_be_searched(run: Run, count: int) -> None:
    for number in range(count - 1):
        cluster(f"place-{number}")
    assert ('data-filters="clusters"' in html_of(run.get("cluster"))) == (count == 9)


def test_a37_a42_gateways_of_the_cluster_alone_with_the_addresses_that_answer_class_and_version(
    run: Run, world: World, other: World
) -> None:
    AgentLiveness.objects.filter(agent__name="busan-1").update(
        gateway_version="1.40.0", proxy_url="http://10.0.0.5:8080"
    )
    AgentLiveness.objects.filter(agent__name="busan-2").update(
        gateway_version="1.39.2", proxy_url="http://10.0.0.6:8080", gateway_ok=False
    )
    Listener.objects.create(gateway=world.gateway, name="web", port=8080)
    Listener.objects.create(gateway=world.gateway, name="tls", port=8443, protocol="HTTPS")
    gateway(world, "elsewhere", cluster("busan"))
    gateway(world, "switched-off", world.cluster, status=Gateway.Status.INACTIVE)
    GatewayCluster.objects.create(gateway=other.gateway, cluster=world.cluster)
    run.choose(upto="gateway")
    page = text_of(run.get("gateway"))
    assert f"{world.gateway.name} http://10.0.0.5:8080 · Envoy 1.39.2, 1.40.0" in page
    assert page.count("Envoy") == 1
    assert ("8443" in page, "10.0.0.6" in page) == (False, False)
    for foreign in (
        other.gateway,
        Gateway.objects.get(name="elsewhere"),
        Gateway.objects.get(name="switched-off"),
    ):
        refused = run.post("gateway", gateway=foreign.pk)
        assert refused.status_code == 422
        assert "The gateway that you chose is not offered any more. Choose another one." in text_of(refused)
        assert str(foreign.pk) not in html_of(refused)
    assert run.get("settings").headers["Location"] == run.url("gateway")


def test_a_gateway_that_no_agent_serves_is_shown_with_the_reason_and_refused(run: Run, world: World) -> None:
    kong = gateway(world, "kong", world.cluster, gateway_class=Gateway.Class.KONG)
    run.choose(upto="gateway")
    assert "No agent of this cluster serves this class of gateway." in text_of(run.get("gateway"))
    assert run.post("gateway", gateway=kong.pk).status_code == 422


def test_without_gateways_the_page_says_what_to_do(run: Run, world: World) -> None:
    run.post("cluster", cluster=world.cluster.pk)
    world.gateway.places.all().delete()
    assert (
        "None of your active gateways stands in this cluster "
        "Activate one of yours, or add this cluster to one" in text_of(run.get("gateway"))
    )
