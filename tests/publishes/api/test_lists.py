"""The lists of the API: narrowed, sorted, in pages; and the clusters that can be published to."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from agent.protocol.messages import Outcome
from clusters.models import AgentLiveness, Cluster
from publishes.models import Observation
from publishes.verbs import publishing, withdrawing
from tenants.models import User
from tests.api_clients import client_for
from tests.world import World

P = "/api/v1/provider"


def hosts(api: Client, query: str = "") -> list[str]:
    return [row["hostname_base"] for row in api.get(f"{P}/product-publishes{query}").json()]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["c", "b", "a"]),
        ("?status=PUBLISHED", ["b"]),
        ("?environment=prod", ["c"]),
        ("?condition=in_progress", ["c"]),
        ("?condition=drift", ["b"]),
        ("?q=A.LOCAL", ["a"]),
        ("?q=nothing", []),
        ("?status=DRAFT&environment=dev", ["a"]),
        ("?sort=hostname_base", ["a", "b", "c"]),
        ("?sort=-published_at", ["b", "c", "a"]),
        ("?sort=-hostname_base&page_size=2&page=2", ["a"]),
    ],
)
def test_publishes_are_found_across_products(
    api: Client, world: World, query: str, expected: list[str]
) -> None:
    world.draft(hostname_base="a.localhost")
    drifting = world.published(hostname_base="b.localhost")
    Observation.objects.filter(publish=drifting).update(verified=False)
    publishing.request_publish(world.actor, world.draft(hostname_base="c.localhost", environment="prod").pk)
    names = [host.removesuffix(".localhost") for host in hosts(api, query)]
    if "published_at" in query:  # what was never published comes last, in any order
        names[1:] = sorted(names[1:], reverse=True)
    assert names == expected


def test_filters_by_id_and_rows_say_what_is_going_on(api: Client, world: World, other: World) -> None:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    (row,) = api.get(
        f"{P}/product-publishes?cluster_id={world.cluster.pk}&product_id={world.product.pk}&gateway_id={world.gateway.pk}"
    ).json()
    assert (row["conditions"], len(row["api_services"]), len(row["route_ids"])) == (["in_progress"], 3, 3)
    assert hosts(api, f"?cluster_id={other.cluster.pk}") == []


@pytest.mark.parametrize(
    "query",
    [
        "status=draft",
        "environment=moon",
        "condition=x",
        "cluster_id=1",
        "sort=tenant_id",
        "page=0",
        "page_size=101",
        "q=" + "x" * 101,
        "page=1e9",
    ],
)
def test_what_is_no_filter_is_422_and_named(api: Client, query: str) -> None:
    refused = api.get(f"{P}/product-publishes?{query}")
    assert (refused.status_code, list(refused.json()["fields"])) == (422, [query.partition("=")[0]])


def test_another_tenants_publishes_are_in_no_list(stranger: Client, world: World) -> None:
    publish = world.published()
    assert hosts(stranger) == []
    assert stranger.get(f"{P}/operations").json() == []
    assert stranger.get(f"{P}/operations?publish_id={publish.pk}").json() == []


def test_pages_lead_to_each_other(api: Client, world: World) -> None:
    for number in range(5):
        world.draft(hostname_base=f"n{number}.localhost")
    first = api.get(f"{P}/product-publishes?page_size=2&sort=hostname_base")
    assert first.headers["X-Total-Count"] == "5"
    links = {rel: url for url, rel in (link.split("; ") for link in first.headers["Link"].split(", "))}
    assert set(links) == {'rel="first"', 'rel="next"', 'rel="last"'}
    second = api.get(links['rel="next"'].strip("<>"))
    assert [row["hostname_base"] for row in second.json()] == ["n2.localhost", "n3.localhost"]
    beyond = api.get(f"{P}/product-publishes?page_size=2&page=9")
    assert (beyond.json(), beyond.headers["X-Total-Count"]) == ([], "5")
    assert 'page=3>; rel="prev"' in beyond.headers["Link"]


@pytest.mark.parametrize("rows", [1, 25])
def test_the_list_is_four_queries_whatever_is_in_it(
    api: Client, world: World, rows: int, django_assert_num_queries: Any
) -> None:
    for number in range(rows):
        world.published(hostname_base=f"n{number}.localhost")
        world.draft(hostname_base=f"d{number}.localhost")
    api.get(f"{P}/product-publishes")
    with django_assert_num_queries(
        1 + 4 if rows > 1 else 1 + 3
    ):  # the token's; a count unless the page is the only one
        assert len(api.get(f"{P}/product-publishes").json()) == min(2 * rows, 25)


def failed(world: World) -> Any:
    publish = world.draft()
    operation = publishing.request_publish(world.actor, publish.pk)
    (waiting,) = world.agents[0].claim()
    world.agents[0].answer(waiting, Outcome.REFUSED, code="rejected", message="duplicate domain")
    world.everybody_confirms()
    return operation


def test_operations_are_listed_newest_first_and_narrowed(api: Client, world: World) -> None:
    operation = failed(world)
    rows = api.get(f"{P}/operations").json()
    assert [(row["kind"], row["phase"]) for row in rows] == [("revert", "SUCCEEDED"), ("publish", "FAILED")]
    assert [
        row["id"] for row in api.get(f"{P}/operations?phase=FAILED&publish_id={operation.publish_id}").json()
    ] == [str(operation.pk)]
    assert api.get(f"{P}/operations?open=true").json() == []
    assert len(api.get(f"{P}/operations?open=false&kind=publish").json()) == 1
    assert api.get(f"{P}/operations?phase=DONE").status_code == 422


def test_a_failed_operation_is_tried_again_once_and_only_the_last_one(api: Client, world: World) -> None:
    first = failed(world)
    again = api.post(f"{P}/operations/{first.pk}/retry")
    assert (
        again.status_code,
        again.json()["kind"],
        again.headers["Location"].endswith(again.json()["id"]),
    ) == (202, "publish", True)
    refused = api.post(f"{P}/operations/{first.pk}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    (waiting,) = world.agents[0].claim()
    world.agents[0].answer(waiting, Outcome.REFUSED, code="rejected", message="duplicate domain")
    world.everybody_confirms()
    late = api.post(f"{P}/operations/{first.pk}/retry")
    assert (late.status_code, late.json()["code"]) == (409, "not_the_last")


def test_a_publish_that_is_going_on_is_cancelled_and_a_withdrawal_is_not(api: Client, world: World) -> None:
    operation = publishing.request_publish(world.actor, world.draft().pk)
    cancelled = api.post(f"{P}/operations/{operation.pk}/cancel")
    assert (cancelled.status_code, cancelled.json()["phase"]) == (200, "CANCELLED")
    late = api.post(f"{P}/operations/{operation.pk}/cancel")
    assert (late.status_code, late.json()["code"]) == (409, "wrong_state")
    published = world.published(hostname_base="live.localhost")
    withdrawal = withdrawing.request_withdraw(world.actor, published.pk, reason="x")
    assert api.post(f"{P}/operations/{withdrawal.pk}/cancel").json()["code"] == "not_cancellable"


C = "/api/v1/operator/clusters"


def test_providers_see_the_clusters_that_can_be_published_to_and_operators_all(
    api: Client, world: World
) -> None:
    last_seen_at = timezone.now() - timedelta(minutes=10)
    Cluster.objects.create(name="empty", region="kr-seoul", host_suffixes=["localhost"], open_to_all=True)
    Cluster.objects.create(
        name="resting", region="kr-seoul", host_suffixes=["localhost"], maintenance=True, open_to_all=True
    )
    (row,) = api.get(C).json()
    assert set(row) == {
        "id",
        "name",
        "description",
        "region",
        "status",
        "agent_count",
        "active_agent_count",
        "last_heartbeat",
        "host_suffixes",
    }
    assert (row["name"], row["region"], row["status"], row["agent_count"], row["active_agent_count"]) == (
        "acme-kr",
        "kr-seoul",
        "active",
        2,
        2,
    )
    assert row["last_heartbeat"]
    AgentLiveness.objects.update(last_seen_at=last_seen_at)
    assert api.get(C).json() == []

    User.objects.create_user("op", password="op-secret", is_staff=True)
    operator = Client()
    operator.force_login(User.objects.get(username="op"), "django.contrib.auth.backends.ModelBackend")
    assert {(row["name"], row["status"]) for row in operator.get(C).json()} == {
        ("acme-kr", "inactive"),
        ("empty", "pending"),
        ("resting", "maintenance"),
    }
    assert Client().get(C).status_code == 401
    assert operator.get(f"{P}/operations").status_code == 403


def test_the_list_of_clusters_is_one_query(world: World, django_assert_num_queries: Any) -> None:
    api = client_for(world)
    api.get(C)
    with django_assert_num_queries(2):
        api.get(C)
