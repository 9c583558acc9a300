"""The pages: what the buttons do, the status fragment, and how many queries a page costs."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from agent.protocol.messages import Outcome
from publishes.models import Operation, ProductPublish
from publishes.verbs import deleting, publishing, withdrawing
from tests.pages import SCRIPT, SESSION_AND_USER, html_of, product_url, signed_in, url
from tests.publishes.pages.run import Run
from tests.world import World


def test_the_clicks_from_draft_to_gone(world: World, browser: Client) -> None:
    run = Run(world, browser)
    run.choose()
    created = run.confirm()
    publish = ProductPublish.objects.get()
    assert created.headers["Location"] == url("detail", publish)
    assert "Publish now" in html_of(browser.get(url("detail", publish)))

    assert browser.post(url("execute", publish), {"note": "first"}).headers["Location"] == url(
        "detail", publish
    )
    page = browser.get(url("detail", publish)).content.decode()
    assert "Publishing" in page
    assert "every 100ms" in page
    assert 'data-dialog="execute"' not in page
    world.everybody_confirms()
    page = browser.get(url("detail", publish)).content.decode()
    assert "PUBLISHED" in page
    assert "every 100ms" not in page
    assert "2 of 2 agents serve v1" in page

    browser.post(url("withdraw", publish), {"reason": "for a reason"})
    world.everybody_confirms()
    assert "for a reason</blockquote>" in browser.get(url("detail", publish)).content.decode()
    browser.post(url("delete", publish))
    world.everybody_confirms()
    assert browser.get(url("detail", publish)).status_code == 404
    assert "Nothing is deployed yet" in browser.get(product_url(world)).content.decode()


def test_a_refusal_is_409_on_the_same_page_with_what_to_do(world: World, browser: Client) -> None:
    publish = world.draft()
    world.cluster.maintenance = True
    world.cluster.save()
    refused = browser.post(url("execute", publish))
    assert refused.status_code == 409
    assert "The cluster is in maintenance" in refused.content.decode()
    assert not Operation.objects.exists()


def test_a_failed_publish_shows_the_agents_words_and_try_again(world: World, browser: Client) -> None:
    from_agent = world.agents[0]
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    (waiting,) = from_agent.claim()
    from_agent.answer(waiting, Outcome.REFUSED, code="rejected", message="duplicate domain")
    page = browser.get(url("detail", publish)).content.decode()
    assert "busan-1: duplicate domain" in page
    assert "Try again" in page
    browser.post(url("retry", publish))
    assert world.last_operation(publish).kind == "publish"


def test_the_status_fragment_is_204_until_something_changes(world: World, browser: Client) -> None:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    first = browser.get(url("live", publish))
    assert first.status_code == 200
    assert "history-changed" in first.headers["HX-Trigger-After-Settle"]
    shown_version = html_of(first).split("?seen=")[1].split('"')[0]
    assert browser.get(url("live", publish), {"seen": shown_version}).status_code == 204
    world.agents[0].confirm_all()
    changed = browser.get(url("live", publish), {"seen": shown_version})
    assert changed.status_code == 200
    assert "1 of 2 agents confirmed v1" in changed.content.decode()


def test_when_a_deletion_is_done_the_status_fragment_leads_to_the_product(
    world: World, browser: Client
) -> None:
    publish = world.withdrawn()
    deleting.request_delete(world.actor, publish.pk)
    world.everybody_confirms()
    assert browser.get(url("live", publish), headers=SCRIPT).headers["HX-Redirect"] == product_url(world)


@pytest.mark.parametrize(
    ("status", "text"), [("draft", "Activate the product first"), ("archived", "read-only")]
)
def test_a75_a_product_that_is_not_active_offers_no_publish(
    world: World, browser: Client, status: str, text: str
) -> None:
    world.published()
    world.product.status = status
    world.product.save()
    page = browser.get(product_url(world)).content.decode()
    assert text in page
    assert f'href="{reverse("publishes:create", args=[world.product.pk])}"' not in page


def test_a34_the_board_counts_environments_with_something_published(world: World, browser: Client) -> None:
    world.published()
    world.draft(environment="prod", hostname_base="p.localhost")
    page = browser.get(product_url(world)).content.decode()
    assert "Deployed in 1 environment" in page
    for title in ("DEV", "STAGING", "PROD"):
        assert f"<h3>{title}</h3>" in page


def test_pages_carry_the_strict_policy_and_nothing_from_outside(world: World, browser: Client) -> None:
    response = browser.get(url("detail", world.draft()))
    policy = {
        part.split(" ", 1)[0]: part.split(" ", 1)[1]
        for part in response.headers["Content-Security-Policy"].split("; ")
    }
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    page = response.content.decode()
    assert "style=" not in page
    assert "onclick" not in page
    assert 'src="http' not in page


@pytest.mark.parametrize("rows", [1, 50])
def test_queries_per_page_do_not_grow_with_rows(
    world: World, browser: Client, rows: int, django_assert_num_queries: Any
) -> None:
    for number in range(rows):
        publish = world.published(hostname_base=f"n{number}.localhost")
    budgets = {
        reverse("products:list"): 4,
        product_url(world): 5,
        url("detail", publish): 6,
        url("live", publish): 2,
        url("agents", publish): 2,
        url("history", publish): 2,
        url("command", publish): 3,
        url("services", publish): 4,
        reverse("publishes:board", args=[world.product.pk]): 2,
    }
    for path, budget in budgets.items():
        with django_assert_num_queries(SESSION_AND_USER + budget, info=path):
            assert browser.get(path, headers=SCRIPT).status_code == 200


def test_history_quotes_people_as_they_wrote(world: World) -> None:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk, note="OK")
    korean = signed_in(world.user)
    page = korean.get(url("detail", publish), headers={"Accept-Language": "ko"}).content.decode()
    assert "<blockquote>OK</blockquote>" in page


def test_changing_settings_stores_the_hostname_that_was_shown(world: World, browser: Client) -> None:
    publish = world.draft()
    form = {
        "environment": "prod",
        "auth_mode": "none",
        "visibility": "public",
        "hostname_base": publish.hostname_base,
        "hostname_suggested": publish.hostname_base,
    }
    assert browser.post(url("edit", publish), form).status_code == 302
    publish.refresh_from_db()
    assert (publish.environment, publish.hostname_base) == ("prod", "payment-api.dev.kr-seoul.localhost")
    outside = form | {"hostname_base": "evil.example.com", "hostname_suggested": "evil.example.com"}
    assert browser.post(url("edit", publish), outside).status_code == 422
    assert browser.post(url("edit", publish), form | {"hostname_suggested": "a" * 300}).status_code == 422


def test_a_url_that_only_takes_forms_says_so_on_a_page(world: World, browser: Client) -> None:
    response = browser.get(reverse("account:workspace"))
    assert response.status_code == 405
    assert "This URL does not support this method." in html_of(response)


def test_a_blocked_agent_whose_word_is_awaited_stands_on_the_board(world: World, browser: Client) -> None:
    publish = world.published()
    for voice in world.agents:
        type(voice.agent).objects.filter(pk=voice.agent.pk).update(blocked_at="2026-01-01T00:00:00Z")
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    page = browser.get(url("detail", publish)).content.decode()
    assert page.count(">blocked<") == 2
    assert 'max="2"' in page
