"""A publish's page offers what its services would do now, and says why not where they would not."""

import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clusters.models import Agent, Cluster
from products.models import Product
from publishes.models import Operation, ProductPublish
from publishes.verbs import publishing
from tests.pages import SCRIPT, text_of, url
from tests.world import World

SPOILT: dict[str, tuple[Callable[[], object], str]] = {
    "maintenance": (
        lambda: Cluster.objects.update(maintenance=True),
        "The cluster is in maintenance: new publishes are refused",
    ),
    "hosts": (
        lambda: Cluster.objects.update(host_suffixes=["example.com"]),
        "The hostname must end in one of: example.com.",
    ),
    "archived": (
        lambda: Product.objects.update(status="archived"),
        "The product is archived, so this is not published any more.",
    ),
    "agents": (
        lambda: Agent.objects.update(blocked_at=timezone.now()),
        "No agent of this cluster can serve this gateway.",
    ),
}


def offered(client: Client, publish: ProductPublish) -> list[str]:
    return re.findall(r'id="open-(\w+)"', client.get(url("detail", publish)).content.decode())


@pytest.mark.parametrize("why", SPOILT)
def test_where_a_publish_would_be_refused_its_reason_stands_in_the_buttons_place(
    world: World, browser: Client, why: str
) -> None:
    publish = world.draft()
    assert offered(browser, publish) == ["delete", "execute"]
    spoil, sentence = SPOILT[why]
    spoil()
    assert offered(browser, publish) == ["delete"]
    page = text_of(browser.get(url("detail", publish)))
    assert (sentence in page, "To the product" in page) == (True, why == "archived")
    assert browser.get(url("execute", publish)).headers["Location"] == url("detail", publish)
    refused = browser.post(url("execute", publish), headers=SCRIPT)
    assert (refused.status_code, sentence in text_of(refused)) == (409, True)


def test_a_failed_publish_is_not_offered_again_where_that_would_be_refused(
    world: World, browser: Client
) -> None:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    Operation.objects.update(phase="FAILED", finished_at=timezone.now())
    assert 'id="retry"' in browser.get(url("detail", publish)).content.decode()
    Cluster.objects.update(maintenance=True)
    assert 'id="retry"' not in browser.get(url("detail", publish)).content.decode()


def test_the_settings_are_not_asked_for_when_they_would_not_be_taken(world: World, browser: Client) -> None:
    publish = world.draft()
    assert browser.get(url("edit", publish)).status_code == 200
    publishing.request_publish(world.actor, publish.pk)
    refused = browser.get(url("edit", publish))
    assert (refused.status_code, "Another operation is still going on" in text_of(refused)) == (409, True)


def test_what_is_offered_is_part_of_what_was_seen(world: World, browser: Client) -> None:
    publish = world.draft()
    page = browser.get(url("live", publish), headers=SCRIPT).content.decode()
    version = page.split("?seen=")[1].split('"')[0]
    assert browser.get(url("live", publish), {"seen": version}).status_code == 204
    Cluster.objects.update(maintenance=True)
    assert browser.get(url("live", publish), {"seen": version}).status_code == 200


def test_the_form_for_a_key_is_refused_where_no_key_would_be_made(world: World, browser: Client) -> None:
    publish = world.draft()
    refused = browser.get(reverse("publishes:make-key", args=[publish.product_id, publish.pk]))
    assert (refused.status_code, "need no API key" in text_of(refused)) == (409, True)
