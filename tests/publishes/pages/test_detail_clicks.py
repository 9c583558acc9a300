"""Clicks on the page of one publish: dialogs, refusals, and the fragments that htmx gets (A60-A68)."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from agent.protocol.messages import Outcome
from clusters.models import AgentLiveness
from publishes.callers import credentials
from publishes.models import Operation, ProductPublish
from publishes.verbs import deleting, publishing, withdrawing
from tenants.actors import Role
from tests.pages import SCRIPT, html_of, korean, member, signed_in, text_of, url
from tests.publishes.callers.test_credentials import closed
from tests.world import World


def test_cancelling_by_the_dialog_and_without_script(world: World, browser: Client) -> None:
    publish = world.draft()
    operation = publishing.request_publish(world.actor, publish.pk)
    asks = html_of(browser.get(url("cancel", publish)))
    assert f'name="operation" value="{operation.pk}"' in asks
    assert browser.post(url("cancel", publish), {"operation": "x"}).status_code == 400
    fragment = browser.post(
        url("cancel", publish), {"operation": operation.pk}, headers={**SCRIPT, "Accept-Language": "ko"}
    )
    assert fragment.status_code == 200
    assert 'data-outcome="배포가 취소되었습니다"' in html_of(fragment)
    assert "모든 에이전트를 이전 상태로 되돌리고 있습니다." in text_of(fragment)
    late = browser.post(url("cancel", publish), {"operation": operation.pk}, headers=SCRIPT)
    assert late.status_code == 409
    assert "It has ended already" in text_of(late)
    world.everybody_confirms()
    page = korean(browser, url("detail", publish))
    assert "배포가 취소되었습니다" in page
    assert "되돌리고" not in page
    assert 'id="open-execute"' in html_of(browser.get(url("detail", publish)))


def test_a_script_gets_the_fragment_with_the_board_and_news_of_the_history(
    world: World, browser: Client
) -> None:
    publish = world.draft()
    answer = browser.post(url("execute", publish), headers=SCRIPT)
    page = html_of(answer)
    assert answer.status_code == 200
    assert page.strip().startswith('<section id="live"')
    assert 'id="agents" class="card" aria-labelledby="agents-title" hx-swap-oob="true"' in page
    assert "history-changed" in answer.headers["HX-Trigger-After-Settle"]


def test_a_refusal_is_a_fragment_with_the_sentence_for_a_script_and_a_page_for_people(
    world: World, browser: Client
) -> None:
    publish = world.draft()
    world.cluster.maintenance = True
    world.cluster.save()
    fragment = browser.post(url("execute", publish), headers=SCRIPT)
    assert fragment.status_code == 409
    assert html_of(fragment).strip().startswith('<section id="live"')
    assert "The cluster is in maintenance" in html_of(fragment)
    page = browser.post(url("execute", publish))
    assert page.status_code == 409
    assert "<html" in html_of(page)


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
def test_a62_a_reason_of_1_to_500_characters_is_asked_for_again_with_what_was_typed(
    world: World, browser: Client, reason: str
) -> None:
    publish = world.published()
    fragment = browser.post(url("withdraw", publish), {"reason": reason}, headers=SCRIPT)
    assert fragment.status_code == 422
    assert "data-open" in html_of(fragment)
    assert (
        text_of(fragment).count("Say why, in 1 to 500 characters.") == 1
    )  # in its dialog, and not once more behind it
    assert "Some fields are invalid." not in text_of(fragment)
    page = browser.post(url("withdraw", publish), {"reason": reason})
    assert page.status_code == 422
    assert "Say why, in 1 to 500 characters." in html_of(page)
    if reason.strip():
        assert reason in html_of(page)
    assert Operation.objects.filter(kind="withdraw").count() == 0


def test_deleting_says_that_a_host_is_taken_off_only_where_it_was_sent(world: World, browser: Client) -> None:
    draft, withdrawn = world.draft(), world.withdrawn(hostname_base="sent.dev.localhost")
    assert "This draft was never sent to its cluster." in text_of(browser.get(url("delete", draft)))
    assert "is taken off" not in text_of(browser.get(url("delete", draft)))
    assert "sent.dev.localhost is taken off" in text_of(browser.get(url("delete", withdrawn)))


@pytest.mark.parametrize("verb", ["execute", "withdraw", "delete"])
def test_each_dialog_is_a_page_for_those_without_script(world: World, browser: Client, verb: str) -> None:
    publish = world.published() if verb == "withdraw" else world.draft()
    page = browser.get(url(verb, publish))
    assert page.status_code == 200
    assert f'action="{url(verb, publish)}"' in html_of(page)
    assert "hx-post" not in html_of(page)
    wrong = (
        world.draft(hostname_base="n.localhost")
        if verb == "withdraw"
        else world.published(hostname_base="n.localhost")
    )
    assert browser.get(url(verb, wrong)).headers["Location"] == url("detail", wrong)
    assert signed_in(member(world.tenant, Role.VIEWER)).get(url(verb, publish)).status_code == 403


def test_a_draft_never_sent_is_deleted_at_once_and_a_script_is_led_to_the_product(
    world: World, browser: Client
) -> None:
    publish = world.draft()
    assert (
        browser.post(url("delete", publish), headers=SCRIPT)
        .headers["HX-Redirect"]
        .endswith(str(world.product.pk))
    )
    assert not ProductPublish.objects.exists()


def test_being_told_twice_that_it_is_gone_is_one_toast(world: World, browser: Client) -> None:
    publish = world.withdrawn()
    deleting.request_delete(world.actor, publish.pk)
    world.everybody_confirms()
    for _ in range(2):
        browser.get(url("live", publish), headers=SCRIPT)
    assert (
        html_of(browser.get(f"/provider/products/{world.product.pk}")).count("The publish was deleted") == 1
    )


def test_the_board_at_rest_wakes_the_status_when_more_than_the_clock_changed(
    world: World, browser: Client
) -> None:
    publish = world.published()
    board = browser.get(url("agents", publish))
    version = html_of(board).split("?seen=")[1].split('"')[0]
    assert "live-changed" not in browser.get(url("agents", publish), {"seen": version}).headers.get(
        "HX-Trigger", ""
    )
    AgentLiveness.objects.update(last_seen_at=timezone.now())
    assert "live-changed" not in browser.get(url("agents", publish), {"seen": version}).headers.get(
        "HX-Trigger", ""
    )
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    assert "live-changed" in browser.get(url("agents", publish), {"seen": version}).headers["HX-Trigger"]


def test_polling_slows_down_with_the_operations_age(world: World, browser: Client) -> None:
    publish = world.draft()
    operation = publishing.request_publish(world.actor, publish.pk)
    for age, every in ((0, "100ms"), (5, "250ms"), (30, "1000ms")):
        Operation.objects.filter(pk=operation.pk).update(created_at=timezone.now() - timedelta(seconds=age))
        answer: Any = browser.get(url("live", publish), {"seen": "0"})
        assert f"every {every}" in html_of(answer)


@pytest.mark.parametrize(
    ("verb", "outcome"), [("publish", "배포가 완료되었습니다"), ("withdraw", "배포가 철회되었습니다")]
)
def test_a67_the_outcome_that_becomes_a_toast(world: World, browser: Client, verb: str, outcome: str) -> None:
    publish = world.published() if verb == "publish" else world.withdrawn()
    fragment = html_of(browser.get(url("live", publish), headers={"Accept-Language": "ko"}))
    assert f'data-outcome="{outcome}"' in fragment
    assert "data-open" not in fragment


@pytest.mark.parametrize(
    ("answer", "outcome", "tone"),
    [
        (Outcome.VERIFIED, "The changed keys are in force", ""),
        (Outcome.REFUSED, "The changed keys could not", "bad"),
    ],
)
def test_changed_keys_have_an_outcome_of_their_own(
    world: World, browser: Client, answer: Outcome, outcome: str, tone: str
) -> None:
    publish = closed(world)
    credentials.issue_test_key(world.actor, publish.pk)
    first = html_of(browser.get(url("live", publish), headers={"Accept-Language": "en"}))
    assert 'data-open="2" data-ended="1" data-outcome="The publish is live"' in first
    for voice in world.agents:
        for waiting in voice.claim():
            voice.answer(waiting, answer)
    after = html_of(browser.get(url("live", publish), headers={"Accept-Language": "en"}))
    assert f'data-ended="2" data-outcome="{outcome}' in after
    assert f'data-outcome-tone="{tone}"' in after
    assert f'data-announce="PUBLISHED. {outcome}' in after


def test_a_session_that_ended_reloads_the_page_instead_of_filling_the_fragment(world: World) -> None:
    answer = Client().get(url("live", world.draft()), headers=SCRIPT)
    assert answer.headers["HX-Refresh"] == "true"
    assert answer.content == b""


def test_a_script_that_may_not_is_told_in_a_toast(world: World) -> None:
    viewer = signed_in(member(world.tenant, Role.VIEWER))
    answer = viewer.post(url("execute", world.draft()), headers=SCRIPT)
    assert answer.status_code == 403
    assert "Your role does not allow this." in answer.headers["HX-Trigger"]
