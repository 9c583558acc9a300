"""Comparing two states of a publish: what is told as different, who carries what, and what it costs."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from agent.protocol.spec import ApiKey, Auth, AuthMode, Route, Service, Spec, State, Upstream
from publishes.models import Observation, ProductPublish
from publishes.reading.detail.differences import Change, Group, differences
from publishes.verbs import publishing, withdrawing
from tests.pages import SESSION_AND_USER, text_of, url
from tests.world import World, add_service


def compare(browser: Client, publish: ProductPublish, **chosen: Any) -> Any:
    return browser.get(url("compare", publish), {name: str(value) for name, value in chosen.items()})


def billing(**changes: Any) -> Service:
    values: dict[str, Any] = {
        "name": "Billing",
        "upstream": Upstream(scheme="http", host="billing", port=80),
        "routes": (),
    }
    return Service(id=uuid4(), **(values | changes))


def spec(**changes: Any) -> Spec:
    return Spec(
        **({"publish_id": uuid4(), "generation": 1, "state": State.LIVE, "host": "a.localhost"} | changes)
    )


def as_text(groups: tuple[Group, ...]) -> list[tuple[str, list[tuple[str, str, str]]]]:
    return [
        (group.name, [(str(change.label), str(change.old), str(change.new)) for change in group.changes])
        for group in groups
    ]


def test_two_specs_that_want_the_same_differ_in_nothing() -> None:
    same = spec(services=(billing(),))
    assert differences(same, same.model_copy(update={"generation": 9})) == ()


def test_the_publish_itself_comes_first_and_keys_are_told_by_fingerprint_alone() -> None:
    key = ApiKey(id=uuid4(), consumer="shop", fingerprint="f" * 64, secret="never-shown")
    renewed = key.model_copy(update={"fingerprint": "e" * 64})
    old = spec(auth=Auth(mode=AuthMode.API_KEY, key_header="apikey", keys=(key,)), services=(billing(),))
    new = spec(host="b.localhost", auth=Auth(mode=AuthMode.API_KEY, key_header="x-key", keys=(renewed,)))
    groups = as_text(differences(old, new))
    assert groups[0] == (
        "",
        [
            ("Hostname", "a.localhost", "b.localhost"),
            ("Key header", "apikey", "x-key"),
            ("Key", f"shop · {'f' * 12}…", f"shop · {'e' * 12}…"),
        ],
    )
    assert [name for name, _ in groups] == ["", "Billing"]
    assert "never-shown" not in str(groups)


def test_a_withdrawal_is_no_change_of_who_is_let_in() -> None:
    live_spec = spec(
        auth=Auth(
            mode=AuthMode.API_KEY,
            key_header="apikey",
            keys=(ApiKey(id=uuid4(), consumer="shop", fingerprint="f" * 64),),
        )
    )
    withdrawn = Spec(
        publish_id=live_spec.publish_id, generation=2, state=State.WITHDRAWN, host=live_spec.host
    )
    assert [label for label, _old, _new in as_text(differences(live_spec, withdrawn))[0][1]] == ["State"]


def test_a_service_is_followed_by_its_id_and_a_route_by_its_own() -> None:
    route = Route(id=uuid4(), path="/billing", methods=("GET",))
    old = billing(routes=(route, Route(id=uuid4(), path="/gone")))
    moved = route.model_copy(update={"path": "/bills", "methods": ("GET", "POST"), "strip_path": True})
    upstream = Upstream(scheme="https", host="billing", port=443, path="/v2", timeout_ms=5)
    new = Service(id=old.id, name="Bills", upstream=upstream, routes=(moved,))
    assert as_text(differences(spec(services=(old,)), spec(services=(new,)))) == [
        (
            "Bills",
            [
                ("Name", "Billing", "Bills"),
                ("Upstream", "http://billing:80", "https://billing:443/v2"),
                ("Time to answer", "60000 ms", "5 ms"),
                ("Route", "GET /billing/*", "GET, POST /bills/* → /"),
                ("Route", "all methods /gone/*", ""),
            ],
        )
    ]


def test_services_that_came_or_went_are_told_whole() -> None:
    billing_a, billing_b = billing(name="A"), billing(name="B")
    removed, added = differences(spec(services=(billing_a,)), spec(services=(billing_b,)))
    assert (removed.name, removed.is_removed, removed.is_new, added.name, added.is_removed, added.is_new) == (
        "A",
        True,
        False,
        "B",
        False,
        True,
    )
    assert added.changes[0] == Change(label=added.changes[0].label, new="http://billing:80")


def test_a_publish_is_compared_with_what_was_live_before_and_not_with_the_withdrawal_in_between(
    world: World, browser: Client
) -> None:
    publish = world.withdrawn()
    add_service(world.product, "Another", "/another", ["GET"])
    publishing.request_publish(world.actor, publish.pk)
    world.everybody_confirms()
    page = text_of(compare(browser, publish, new=3))
    assert "Another added" in page
    assert "Billing Service" not in page


def test_from_the_timeline_to_what_a_generation_changed(world: World, browser: Client) -> None:
    publish = world.withdrawn()
    assert f"{url('compare', publish)}?new=2" in browser.get(url("detail", publish)).content.decode()
    page = text_of(compare(browser, publish, new=2))
    assert "State Live Withdrawn" in page
    assert "Billing Service taken out" in page
    add_service(world.product, "Another", "/another", ["GET"])
    publishing.request_publish(world.actor, publish.pk)
    page = text_of(compare(browser, publish, old=1, new=3))
    assert "Another added" in page
    assert "Billing Service" not in page


def test_one_generation_with_what_an_agent_carries(world: World, browser: Client) -> None:
    publish = world.withdrawn()
    agent = world.agents[0].agent
    observations = Observation.objects.filter(publish=publish, agent=agent)
    assert "The two are the same" in text_of(compare(browser, publish, old=2, new=f"agent:{agent.pk}"))
    behind = publish.operations.get(generation=1)
    observations.update(generation=1, digest=behind.digest, state="live")
    assert "Billing Service added" in text_of(compare(browser, publish, old=2, new=f"agent:{agent.pk}"))
    observations.update(digest="unheard-of")
    assert "Nobody here knows what it carries" in text_of(
        compare(browser, publish, old=2, new=f"agent:{agent.pk}")
    )


def test_before_the_first_publishing_there_is_nothing_to_compare(world: World, browser: Client) -> None:
    assert "There is nothing to compare yet" in text_of(compare(browser, world.draft()))


@pytest.mark.parametrize(
    "chosen",
    [{"new": "99"}, {"old": "0"}, {"old": "x"}, {"new": "agent:x"}, {"new": "9" * 30}, {"old": "-1"}],
)
def test_a_generation_or_agent_that_is_not_of_this_publish_is_not_there(
    world: World, browser: Client, chosen: dict[str, str]
) -> None:
    assert compare(browser, world.published(), **chosen).status_code == 404


def test_another_tenants_publish_is_not_there_nor_under_another_product(
    world: World, other: World, browser: Client
) -> None:
    foreign, own = other.published(), world.published()
    assert compare(browser, foreign).status_code == 404
    assert browser.get(reverse("publishes:compare", args=[foreign.product_id, own.pk])).status_code == 404


@pytest.mark.parametrize("rounds", [1, 8])
def test_four_queries_whatever_the_history(
    world: World, browser: Client, rounds: int, django_assert_num_queries: Any
) -> None:
    publish = world.published()
    for _ in range(rounds):
        withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
        world.everybody_confirms()
        publishing.request_publish(world.actor, publish.pk)
        world.everybody_confirms()
    with django_assert_num_queries(SESSION_AND_USER + 4):
        assert compare(browser, publish).status_code == 200
