"""Clusters as a provider sees them: what they are in, their agents, and what of mine runs there."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clusters.models import AgentLiveness, Cluster
from gateways.models import GatewayCluster
from publishes.reading.lists import overview
from publishes.reading.lists.listing import Filters
from publishes.verbs import publishing
from tenants.actors import Role
from tests.pages import SCRIPT, SESSION_AND_USER, html_of, member, signed_in, text_of
from tests.world import World, nobody_knows

LIST = reverse("clusters:list")


def path(cluster: Cluster) -> str:
    return reverse("clusters:detail", args=[cluster.pk])


def test_the_list_says_what_each_cluster_is_in_and_what_of_mine_is_live(
    world: World, other: World, browser: Client
) -> None:
    world.published()
    Cluster.objects.create(name="kr-far", region="kr-busan", host_suffixes=["localhost"], maintenance=True)
    Cluster.objects.create(name="kr-new", region="kr-busan", host_suffixes=["localhost"])
    Cluster.objects.update(open_to_all=True)
    AgentLiveness.objects.filter(agent__cluster=other.cluster).update(
        last_seen_at=timezone.now() - timedelta(hours=1)
    )
    page = text_of(browser.get(LIST))
    assert "acme-kr kr-seoul Active 2 agents" in page
    assert "1 of yours is live" in page
    assert "globex-kr kr-seoul No agent connected 1 agent · 1 hour ago Nothing of yours is live" in page
    assert "kr-far kr-busan Maintenance" in page
    assert "kr-new kr-busan No agent yet" in page


def test_a78_my_publishes_stand_by_environment_and_nobody_elses(
    world: World, other: World, browser: Client
) -> None:
    GatewayCluster.objects.create(gateway=other.gateway, cluster=world.cluster)
    Cluster.objects.update(open_to_all=True)
    other.draft(cluster=world.cluster, hostname_base="theirs.localhost")
    world.published(environment="prod", hostname_base="a.localhost")
    world.draft(hostname_base="b.localhost")
    cells = overview.by_environment(world.actor, Filters(cluster=world.cluster.pk))
    assert [[publish.hostname_base for publish in cell.publishes] for cell in cells] == [
        ["b.localhost"],
        [],
        ["a.localhost"],
    ]
    page = text_of(browser.get(path(world.cluster)))
    assert "DEV Payment API v2.0 DRAFT STAGING None yet PROD Payment API v2.0 PUBLISHED" in page
    assert world.gateway.name in page


def test_agents_are_told_by_name_state_and_version_and_not_by_url(world: World, browser: Client) -> None:
    AgentLiveness.objects.filter(agent=world.agents[0].agent).update(
        gateway_version="1.40.0", gateway_ok=False, gateway_error="connection refused"
    )
    world.add_agent("seoul-9", connected=False)
    page = browser.get(path(world.cluster))
    assert "busan-1 connected now Envoy 1.40.0 does not answer connection refused" in text_of(page)
    assert "seoul-9 never connected" in text_of(page)
    assert "127.0.0.1:9" not in html_of(page)


def test_maintenance_is_said_first(world: World, browser: Client) -> None:
    Cluster.objects.filter(pk=world.cluster.pk).update(maintenance=True)
    assert "New publishes are refused; what is live stays." in text_of(browser.get(path(world.cluster)))


def test_a_column_shows_25_and_leads_to_the_rest(world: World, browser: Client) -> None:
    for number in range(26):
        world.draft(hostname_base=f"n{number}.localhost")
    page = html_of(browser.get(path(world.cluster)))
    assert page.count('class="place overview"') == 25
    assert f"?cluster={world.cluster.pk}&amp;environment=dev" in page
    assert len(page) <= 25_000


def test_billing_sees_no_cluster_and_an_unknown_one_is_not_there(world: World, browser: Client) -> None:
    assert browser.get(reverse("clusters:detail", args=[nobody_knows()])).status_code == 404
    billing = signed_in(member(world.tenant, Role.BILLING))
    assert (billing.get(LIST).status_code, billing.get(path(world.cluster)).status_code) == (403, 403)


@pytest.mark.parametrize("name", ["list", "detail"])
def test_the_pages_refresh_themselves_and_get_nothing_while_nothing_changed(
    world: World, browser: Client, name: str
) -> None:
    page = LIST if name == "list" else path(world.cluster)
    (live_url,) = re.findall(r'hx-get="([^"]+seen=[^"]+)" hx-trigger="every 10s"', html_of(browser.get(page)))
    live_url = live_url.replace("&amp;", "&")
    assert browser.get(live_url, headers=SCRIPT).status_code == 204
    assert browser.get(live_url.split("?")[0]).headers["Location"].split("?")[0] == page
    AgentLiveness.objects.update(last_seen_at=timezone.now() - timedelta(hours=1))
    part = browser.get(live_url, headers=SCRIPT)
    assert "No agent connected" in text_of(part)
    assert "<html" not in html_of(part)


def test_while_something_of_mine_is_going_on_a_cluster_is_asked_more_often(
    world: World, browser: Client
) -> None:
    publishing.request_publish(world.actor, world.draft().pk)
    assert 'hx-trigger="every 2s"' in html_of(browser.get(path(world.cluster)))


@pytest.mark.parametrize("rows", [1, 30])
def test_queries_do_not_grow_with_clusters_agents_or_publishes(
    world: World, browser: Client, rows: int, django_assert_num_queries: Any
) -> None:
    for number in range(rows):
        Cluster.objects.create(name=f"c{number}", region="r", host_suffixes=["localhost"], open_to_all=True)
        world.add_agent(f"a{number}")
        world.draft(hostname_base=f"n{number}.localhost")
    for url, budget in {
        LIST: 2,
        f"{LIST}/live": 2,
        path(world.cluster): 4,
        f"{path(world.cluster)}/live": 4,
    }.items():
        with django_assert_num_queries(SESSION_AND_USER + budget, info=url):
            assert browser.get(url, headers=SCRIPT).status_code == 200
