"""The keys on a publish's page: made and shown once, replaced, switched off, with and without script."""

import re

from django.test import Client
from django.urls import reverse

from publishes.models import Credential, ProductPublish
from tests.domain.test_credentials import closed
from tests.web.browser import signed_in, text_of
from tests.world import World

KEY = re.compile(r"imp_[\w-]{43}")
HTMX = {"HX-Request": "true"}


def url(publish: ProductPublish, name: str = "detail", *more: object) -> str:
    return reverse(f"publishes:{name}", args=[publish.product_id, publish.pk, *more])


def test_a_key_is_shown_by_the_answer_that_made_it_and_never_again(world: World) -> None:
    publish, client = closed(world), signed_in(world.user)
    assert "There is no key yet, so nobody is let in." in text_of(client.get(url(publish)))
    made = client.post(url(publish, "make-key"), headers=HTMX)
    (key,) = set(KEY.findall(made.content.decode()))
    assert (made.status_code, "no-store" in made["Cache-Control"]) == (200, True)
    assert {"live-changed", "history-changed"} <= set(re.findall(r"[a-z]+-changed", made["HX-Trigger"] + made["HX-Trigger-After-Settle"]))
    assert "This is the only time that you see this key." in text_of(made)
    page = client.get(url(publish))
    assert not KEY.search(page.content.decode())
    assert Credential.objects.get().fingerprint[:8] in text_of(page)
    assert key not in text_of(page)


def test_without_script_the_form_is_a_page_and_so_is_the_key(world: World) -> None:
    publish, client = closed(world), signed_in(world.user)
    asked = client.get(url(publish, "make-key"))
    assert "The key is shown once" in text_of(asked)
    assert not Credential.objects.exists()
    made = client.post(url(publish, "make-key"), {"overlap": "on"})
    assert (made.status_code, "no-store" in made["Cache-Control"]) == (200, True)
    assert KEY.search(made.content.decode())
    assert "<html" in made.content.decode()
    credential = Credential.objects.get()
    assert "Switch this key off?" in text_of(client.get(url(publish, "switch-key-off", credential.pk)))
    done = client.post(url(publish, "switch-key-off", credential.pk))
    assert (done.status_code, done["Location"]) == (302, url(publish))
    assert "Switched off" in text_of(client.get(url(publish)))


def test_the_key_before_goes_on_only_when_that_is_ticked(world: World) -> None:
    publish, client = closed(world), signed_in(world.user)
    for data in ({}, {"overlap": "on"}, {}):
        client.post(url(publish, "make-key"), data, headers=HTMX)
    assert [row.state for row in Credential.objects.order_by("created_at")] == ["off", "off", "active"]


def test_viewers_see_the_keys_and_no_button_and_strangers_see_nothing(world: World, other: World) -> None:
    publish = closed(world)
    signed_in(world.user).post(url(publish, "make-key"), headers=HTMX)
    assert signed_in(other.user).post(url(publish, "make-key")).status_code == 404
    assert signed_in(other.user).get(url(publish, "make-key")).status_code == 404
    world.user.memberships.update(role="viewer")
    page = signed_in(world.user).get(url(publish))
    assert "Fingerprint" in text_of(page)
    assert "Replace the test key" not in text_of(page)
    assert signed_in(world.user).post(url(publish, "make-key")).status_code == 403
    assert Credential.objects.count() == 1


def test_a_publish_without_keys_says_nothing_of_them(world: World) -> None:
    publish = world.published()
    assert "API keys" not in text_of(signed_in(world.user).get(url(publish)))
    refused = signed_in(world.user).post(url(publish, "make-key"), headers=HTMX)
    assert refused.status_code == 409


def test_while_the_gateways_take_it_the_page_says_so(world: World, client: Client) -> None:
    publish, client = closed(world), signed_in(world.user)
    client.post(url(publish, "make-key"), headers=HTMX)
    live = client.get(url(publish, "live"), headers=HTMX)
    assert "Bringing changed keys to the gateways" in text_of(live)
    assert "every 100ms" in live.content.decode()
    world.everybody_confirms()
    assert "Bringing changed keys" not in text_of(client.get(url(publish, "live"), headers=HTMX))
    history = text_of(client.get(url(publish, "history"), headers=HTMX))
    assert "Test key made" in history
    assert "In force on the gateways" in history
