"""The page that compares two states of a publish: generations, what agents carry, and its queries."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from publishes.models import Observation, ProductPublish
from publishes.verbs import publishing, withdrawing
from tests.pages import SESSION_AND_USER, text_of, url
from tests.world import World, add_service


def compare(browser: Client, publish: ProductPublish, **chosen: Any) -> Any:
    return browser.get(url("compare", publish), {name: str(value) for name, value in chosen.items()})


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
