"""The prechecks of the confirm page, and what the wizard costs in queries."""

import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation

from clusters.models import Agent, AgentLiveness, Cluster
from gateways.models import Gateway, GatewayCluster, Listener
from products.models import ApiService
from publishes.models import ProductPublish
from publishes.verbs.prechecks import Check, Level
from publishes.verbs.prechecks import run as look
from tests.hang import Hang
from tests.issuing import IssuerSite
from tests.names import asking
from tests.pages import text_of
from tests.publishes.pages.run import STEPS, Run
from tests.world import World, add_service


def planned(world: World, **changes: Any) -> ProductPublish:
    """What the wizard would make, not stored."""
    values = {"hostname_base": "mine.localhost", "environment": "dev"} | changes
    return ProductPublish(
        tenant=world.tenant, product=world.product, cluster=world.cluster, gateway=world.gateway, **values
    )


def checks_of(checks: list[Check], title: str) -> list[tuple[Level, str]]:
    return [(check.level, str(check.text)) for check in checks if check.title == title]


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """The words of these tests."""
    with translation.override("en"):
        yield


def test_all_is_well(world: World) -> None:
    checks = look(planned(world))
    assert {check.level for check in checks} == {Level.OK}
    assert [str(check.text) for check in checks] == [
        "3 services go with it.",
        "2 of 2 are ready.",
        "mine.localhost is free.",
        "All are inside the networks allowed for this cluster.",
    ]


def test_agents_that_are_away_warn_and_none_at_all_blocks(world: World) -> None:
    away = AgentLiveness.objects.filter(agent__name="busan-2")
    away.update(last_seen_at=timezone.now() - timedelta(minutes=2))
    assert checks_of(look(planned(world)), "Agents") == [
        (Level.WARNING, "1 of 2 is ready. busan-2 will catch up when back.")
    ]
    AgentLiveness.objects.update(gateway_ok=False)
    ((level, text),) = checks_of(look(planned(world)), "Agents")
    assert (level, text[:38]) == (Level.BLOCKER, "No agent that serves this gateway is c")
    Agent.objects.update(blocked_at=timezone.now())
    assert checks_of(look(planned(world)), "Agents")[0][0] == Level.BLOCKER


def test_a_hostname_held_blocks_and_one_that_a_draft_names_warns(world: World) -> None:
    world.draft(hostname_base="mine.localhost")
    ((level, text),) = checks_of(look(planned(world)), "Hostname")
    assert (level, text) == (Level.WARNING, "Another draft names it too: whoever publishes first gets it.")
    world.published(hostname_base="held.localhost")
    ((level, text),) = checks_of(look(planned(world, hostname_base="held.localhost")), "Hostname")
    assert (level, text) == (
        Level.BLOCKER,
        "Another publish uses this hostname in this cluster. Choose another hostname.",
    )


def test_upstreams_outside_the_fence_block_each_with_its_reason(world: World) -> None:
    ApiService.objects.filter(name="Billing Service").update(upstream_host="10.1.2.3")
    AgentLiveness.objects.filter(agent__name="busan-1").update(reserved=["127.0.0.1:9901"])
    ApiService.objects.filter(name="Refund Service").update(upstream_port=9901)
    checks = checks_of(look(planned(world)), "Upstreams")
    assert sorted(text.split(" is refused: ")[0] for _level, text in checks) == [
        "The upstream of Billing Service",
        "The upstream of Refund Service",
    ]
    assert {level for level, _text in checks} == {Level.BLOCKER}
    assert "outside the networks that operators opened for this cluster" in " ".join(
        text for _level, text in checks
    )
    assert "a port of the gateway" in " ".join(text for _level, text in checks)


def test_nothing_to_deploy_and_overlapping_paths_block(world: World) -> None:
    add_service(world.product, "Twin", "/billing", ["GET"])
    ((level, text),) = checks_of(look(planned(world)), "API services")
    assert (level, text) == (
        Level.BLOCKER,
        "Billing Service and Twin both serve /billing with the same methods. Change one of the routes.",
    )
    ApiService.objects.update(status="inactive")
    checks = look(planned(world))
    assert checks_of(checks, "API services")[0][0] == Level.BLOCKER
    assert checks_of(checks, "Upstreams") == []


def test_the_fragment_waits_for_no_name_that_hangs(
    run: Run, world: World, monkeypatch: pytest.MonkeyPatch, hang: Hang
) -> None:
    lookups = list[str]()

    def hanging(name: str) -> str:
        lookups.append(name)
        hang.wait()
        raise socket.gaierror

    for number in range(20):
        add_service(world.product, f"Hanging {number}", f"/h{number}", [], host=f"h{number}.invalid")
    run.choose()
    monkeypatch.setattr(socket, "getaddrinfo", asking(hanging))
    for url in (reverse("publishes:create-checks", args=[world.product.pk]), f"{run.url('confirm')}?check"):
        page = text_of(run.client.get(url))
        assert hang.lasts
        assert "Upstreams Warning Not looked up in time: Hanging 0, Hanging 1," in page
        assert "It is checked again when you publish." in page
        assert "Agents OK 2 of 2 are ready." in page
    assert len(lookups) <= 16


def test_the_fragment_and_the_page_without_script_say_the_same(run: Run, world: World) -> None:
    world.published(hostname_base="held.localhost")
    run.choose()
    plain = run.get("confirm").content.decode()
    url = reverse("publishes:create-checks", args=[world.product.pk])
    assert f'hx-get="{url}"' in plain
    assert 'href="?check"' in plain
    fragment = text_of(run.client.get(url))
    assert fragment.strip() in text_of(run.client.get(f"{run.url('confirm')}?check"))
    assert "Agents OK 2 of 2 are ready." in fragment
    assert "Publishing it will be refused" not in fragment
    ApiService.objects.update(upstream_host="10.0.0.1")
    assert (
        "You can create the draft now. "
        "Publishing it will be refused until the points marked above are solved."
        in text_of(run.client.get(url))
    )


@pytest.mark.parametrize("name", ["create-checks", "create-hostname"])
def test_a_fragment_of_a_lost_run_sends_the_browser_to_the_first_step(run: Run, name: str) -> None:
    answer = run.client.get(
        reverse(f"publishes:{name}", args=[run.world.product.pk]), headers={"HX-Request": "true"}
    )
    assert answer.headers["HX-Redirect"] == run.url("cluster")


# --- queries ---

SIGN_IN = 3  # the session, the user and the memberships
KEEP = 1  # the session is written


def counted(captured: CaptureQueriesContext) -> int:
    return sum(
        query["sql"].split(" ", 1)[0] in {"SELECT", "INSERT", "UPDATE", "DELETE"}
        for query in captured.captured_queries
    )


def grow(world: World, rows: int) -> None:
    """So many clusters, agents, gateways with listeners, services and publishes more."""
    for number in range(rows):
        place = Cluster.objects.create(
            name=f"more-{number}", region="r", host_suffixes=["localhost"], open_to_all=True
        )
        agent = Agent.objects.create(cluster=world.cluster, name=f"more-{number}", driver="envoy")
        AgentLiveness.objects.create(
            agent=agent, last_seen_at=timezone.now(), gateway_ok=True, gateway_version=f"1.{number}"
        )
        gateway = Gateway.objects.create(tenant=world.tenant, name=f"more-{number}")
        GatewayCluster.objects.bulk_create(
            GatewayCluster(gateway=gateway, cluster=cluster) for cluster in (place, world.cluster)
        )
        Listener.objects.create(gateway=gateway, name="web", port=8080)
        add_service(world.product, f"Service {number}", f"/more/{number}", ["GET"])
        world.draft(hostname_base=f"payment-api{f'-{number + 1}' if number else ''}.dev.kr-seoul.localhost")


@pytest.mark.parametrize("rows", [1, 50])
def test_queries_do_not_grow_with_rows(run: Run, world: World, rows: int) -> None:
    grow(world, rows)
    run.choose()
    for step, expected in zip(STEPS, (2, 3, 3, 4), strict=True):
        with CaptureQueriesContext(connection) as captured:
            assert run.get(step).status_code == 200
        assert counted(captured) == SIGN_IN + expected, step
    key = run.key()
    choices = {
        "cluster": {"cluster": world.cluster.pk},
        "gateway": {"gateway": world.gateway.pk},
        "settings": run.settings(environment="stage"),
    }
    for step, expected in (("cluster", 2), ("gateway", 3), ("settings", 3 + KEEP)):
        with CaptureQueriesContext(connection) as captured:
            assert run.post(step, **choices[step]).status_code == 302
        assert counted(captured) == SIGN_IN + expected, step
    with CaptureQueriesContext(connection) as captured:
        assert run.client.get(reverse("publishes:create-checks", args=[world.product.pk])).status_code == 200
    assert counted(captured) == SIGN_IN + 9
    assert key != run.key()
    key = run.key()
    with CaptureQueriesContext(connection) as captured:
        assert run.post("confirm", run_key=key).status_code == 302
    assert counted(captured) == SIGN_IN + 10 + KEEP


def test_the_issuer_is_asked_and_says_how_many_keys_it_has(world: World, issuer_site: IssuerSite) -> None:
    draft = planned(world, auth_mode="oauth2", auth_config=issuer_site.config)
    assert checks_of(look(draft), "Issuer and its keys") == [(Level.OK, "2 usable keys: ES256, RS256.")]
    issuer_site.document = {"issuer": "https://other.example"}
    assert checks_of(look(draft), "Issuer and its keys") == [
        (Level.BLOCKER, "The issuer calls itself https://other.example. Write it exactly so.")
    ]
    issuer_site.document = {}
    issuer_site.status = 503
    assert checks_of(look(draft), "Issuer and its keys") == [
        (Level.WARNING, "The issuer's configuration: It answers 503.")
    ]
    assert checks_of(look(planned(world)), "Issuer and its keys") == []


def test_nobody_waits_for_an_issuer_that_hangs(
    world: World, issuer_site: IssuerSite, monkeypatch: pytest.MonkeyPatch, hang: Hang
) -> None:
    monkeypatch.setattr(issuer_site, "answer", lambda _path: hang.wait())
    ((level, _text),) = checks_of(
        look(planned(world, auth_mode="oauth2", auth_config=issuer_site.config)), "Issuer and its keys"
    )
    assert level == Level.WARNING
    assert hang.lasts
