"""The keys on a publish's page: made and shown once, replaced, switched off, with and without script."""

import re

from django.urls import reverse
from django.utils import timezone

from clusters.models import AgentLiveness
from publishes.models import Credential, ProductPublish
from tests.pages import signed_in, text_of
from tests.publishes.callers.test_credentials import closed
from tests.world import World

KEY = re.compile(r"imp_[\w-]{43}")
HTMX = {"HX-Request": "true"}


def url(publish: ProductPublish, name: str = "detail", *more: object) -> str:
    return reverse(f"publishes:{name}", args=[publish.product_id, publish.pk, *more])


def test_a_key_is_shown_by_the_answer_that_made_it_and_never_again(world: World) -> None:
    publish, client = closed(world), signed_in(world.user)
    assert "There is no key that is let in now, so every caller gets 401." in text_of(
        client.get(url(publish))
    )
    new_key = client.post(url(publish, "make-key"), headers=HTMX)
    (key,) = set(KEY.findall(new_key.content.decode()))
    assert (new_key.status_code, "no-store" in new_key["Cache-Control"]) == (200, True)
    assert {"live-changed", "history-changed"} <= set(
        re.findall(r"[a-z]+-changed", new_key["HX-Trigger"] + new_key["HX-Trigger-After-Settle"])
    )
    assert "This is the only time that you see this key." in text_of(new_key)
    page = client.get(url(publish))
    assert not KEY.search(page.content.decode())
    assert Credential.objects.get().fingerprint[:8] in text_of(page)
    assert key not in text_of(page)


def test_without_script_the_form_is_a_page_and_so_is_the_key(world: World) -> None:
    publish, client = closed(world), signed_in(world.user)
    form = client.get(url(publish, "make-key"))
    assert "The key is shown once" in text_of(form)
    assert not Credential.objects.exists()
    replacement = client.post(url(publish, "make-key"), {"overlap": "on"})
    assert (replacement.status_code, "no-store" in replacement["Cache-Control"]) == (200, True)
    assert KEY.search(replacement.content.decode())
    assert "<html" in replacement.content.decode()
    credential = Credential.objects.get()
    assert "Switch this key off?" in text_of(client.get(url(publish, "switch-key-off", credential.pk)))
    switched_off = client.post(url(publish, "switch-key-off", credential.pk))
    assert (switched_off.status_code, switched_off["Location"]) == (302, url(publish))
    assert "Switched off" in text_of(client.get(url(publish)))


def test_a_form_that_is_sent_again_makes_no_second_key(world: World) -> None:
    publish, client = closed(world), signed_in(world.user)
    for already in (0, 1):
        (newest,) = re.findall(
            r'name="seen" value="([^"]*)"', client.get(url(publish, "make-key")).content.decode()
        )
        assert KEY.search(
            client.post(url(publish, "make-key"), {"seen": newest, "overlap": "on"}).content.decode()
        )
        again = client.post(url(publish, "make-key"), {"seen": newest, "overlap": "on"})
        assert (again.status_code, "if you did not copy it, make another one now" in text_of(again)) == (
            409,
            True,
        )
        assert not KEY.search(again.content.decode())
        assert Credential.objects.filter(state="active", expires_at=None).count() == 1
        assert Credential.objects.count() == already + 1


def test_the_key_before_goes_on_only_when_that_is_ticked(world: World) -> None:
    publish, client = closed(world), signed_in(world.user)
    for data in ({}, {"overlap": "on"}, {}):
        client.post(url(publish, "make-key"), data, headers=HTMX)
    assert [row.state for row in Credential.objects.order_by("created_at")] == ["off", "off", "active"]


def test_the_form_asks_about_the_key_before_only_when_there_is_one(world: World) -> None:
    publish, client = closed(world), signed_in(world.user)
    overlap, older = "Let the key before go on for 24 hours", "The one before that ends at once."

    def asks() -> list[bool]:
        page, form = (text_of(client.get(address)) for address in (url(publish), url(publish, "make-key")))
        assert [text in page for text in (overlap, older)] == [text in form for text in (overlap, older)]
        return [text in form for text in (overlap, older)]

    assert asks() == [False, False]
    client.post(url(publish, "make-key"), headers=HTMX)
    assert asks() == [True, False]
    client.post(url(publish, "make-key"), {"overlap": "on"}, headers=HTMX)
    assert asks() == [True, True]
    assert "Ending" in text_of(client.get(url(publish)))


def test_who_switches_a_key_off_reads_which_one_and_a_key_that_is_off_is_not_there(
    world: World, other: World
) -> None:
    publish, client = closed(world), signed_in(world.user)
    client.post(url(publish, "make-key"), headers=HTMX)
    key = Credential.objects.get()
    off = url(publish, "switch-key-off", key.pk)
    assert f"Callers with the key {key.fingerprint[:8]}… get 401" in text_of(client.get(off))
    assert signed_in(other.user).get(off).status_code == 404
    assert (
        client.get(url(closed(world, hostname_base="two.localhost"), "switch-key-off", key.pk)).status_code
        == 404
    )
    client.post(off, headers=HTMX)
    assert [client.get(off).status_code, client.post(off).status_code] == [404, 404]


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


def test_the_page_shows_the_newest_twenty_and_says_so(world: World) -> None:
    publish, client = closed(world), signed_in(world.user)
    note = "Only the newest 20 are shown."
    for number in range(20):
        Credential.objects.create(
            publish=publish,
            consumer=f"consumer-{number}",
            fingerprint=f"{number:08}",
            secret="x",
            state="off",
        )
    assert note not in text_of(client.get(url(publish)))
    Credential.objects.create(
        publish=publish, consumer="consumer-20", fingerprint="00000020", secret="x", state="off"
    )
    page = text_of(client.get(url(publish)))
    assert note in page
    assert "consumer-20 " in page
    assert "consumer-0 " not in page


def test_a_publish_without_keys_says_nothing_of_them(world: World) -> None:
    publish = world.published()
    assert "API keys" not in text_of(signed_in(world.user).get(url(publish)))
    refused = signed_in(world.user).post(url(publish, "make-key"), headers=HTMX)
    assert refused.status_code == 409


def test_nobody_reads_that_every_caller_gets_401_while_an_agent_may_still_let_the_key_in(
    world: World,
) -> None:
    publish, client = closed(world), signed_in(world.user)
    client.post(url(publish, "make-key"), headers=HTMX)
    world.everybody_confirms()
    off = client.post(url(publish, "switch-key-off", Credential.objects.get().pk), headers=HTMX)
    all_401, may_open = (
        "so every caller gets 401",
        "Not proved yet on {}: keys that have ended may still open there.",
    )
    assert (all_401 in text_of(off), may_open.format("busan-1, busan-2") in text_of(off)) == (False, True)
    world.agents[0].confirm_all()
    assert may_open.format("busan-2") in text_of(client.get(url(publish)))
    world.agents[1].confirm_all()
    page = text_of(client.get(url(publish)))
    assert (all_401 in page, "may still open" in page) == (True, False)


def test_a_frozen_publish_says_that_a_key_opens_until_an_operator_has_adopted_it(world: World) -> None:
    publish, client = closed(world), signed_in(world.user)
    client.post(url(publish, "make-key"), headers=HTMX)
    world.everybody_confirms()
    ProductPublish.objects.update(frozen_at=timezone.now())
    off = client.post(url(publish, "switch-key-off", Credential.objects.get().pk), headers=HTMX)
    assert (
        "keys that have ended may still open there. An operator has to adopt this publish first."
        in text_of(off)
    )


def test_while_the_gateways_take_it_the_page_says_so_and_the_command_stays(world: World) -> None:
    AgentLiveness.objects.update(proxy_url="http://10.0.0.5:8080")
    publish, client = closed(world), signed_in(world.user)
    new_key = client.post(url(publish, "make-key"), headers=HTMX).content.decode()
    (key,) = set(KEY.findall(new_key))
    assert f"curl -H &#x27;apikey: {key}&#x27; http://payment-api" in new_key
    status = client.get(url(publish, "live"), headers=HTMX)
    assert "Bringing changed keys to the gateways" in text_of(status)
    assert "every 100ms" in status.content.decode()
    assert "curl -H 'apikey: YOUR_KEY' http://payment-api" in text_of(
        client.get(url(publish, "command"), headers=HTMX)
    )
    world.everybody_confirms()
    assert "Bringing changed keys" not in text_of(client.get(url(publish, "live"), headers=HTMX))
    history = text_of(client.get(url(publish, "history"), headers=HTMX))
    assert "Test key made" in history
    assert "In force on the gateways" in history
