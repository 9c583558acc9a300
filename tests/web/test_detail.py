"""The page of one publish: its words, its buttons, its fragments, and what a script gets instead of a page (A52-A58, A60-A73)."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from agent.protocol.messages import Outcome
from clusters.models import AgentLiveness
from products.models import ApiService
from publishes import curl, selectors, services
from publishes.models import Operation, ProductPublish, PublishEvent
from tenants.actors import Role
from tests.web.run import text_of
from tests.web.test_pages import SCRIPT, member, signed_in, url
from tests.world import World, add_service


@pytest.fixture
def browser(world: World) -> Client:
    return signed_in(world.user)


def korean(client: Client, path: str) -> str:
    return text_of(client.get(path, headers={"Accept-Language": "ko"}))


def test_a52_a57_a58_what_stands_on_the_page_in_the_briefs_words(world: World, browser: Client) -> None:
    publish = world.published(environment="prod", hostname_base="payment-api.prod.kr-seoul.localhost")
    page = korean(browser, url("detail", publish))
    for text in ("Payment API - Production 배포", "배포 목록", "Payment API v2.0 → acme-kr", "환경: prod", "인증 방식: None", "acme-owner"):
        assert text in page
    for text in ("배포 정보", "클러스터", "Hostname payment-api.prod.kr-seoul.localhost", "공개 범위: Public", "구독 승인: 필요", "API Services (3)"):
        assert text in page
    assert "Billing Service 활성 /billing/* → 127.0.0.1:8081 GET POST PUT DELETE" in page
    assert "배포 이력" in page


@pytest.mark.parametrize(
    ("status", "there", "not_there"),
    [
        ("draft", ["배포 실행", "삭제", "설정 변경"], ["철회 사유", "재배포할까요?"]),
        ("published", ["철회", "배포된 설정은 변경할 수 없습니다"], ["설정 변경", "배포를 실행할까요?", "배포를 삭제할까요?"]),
        ("withdrawn", ["재배포", "삭제", "410 Gone"], ["설정 변경", "철회 사유"]),
    ],
)
def test_a55_the_buttons_of_each_status(world: World, browser: Client, status: str, there: list[str], not_there: list[str]) -> None:
    page = korean(browser, url("detail", getattr(world, status)()))
    assert [text for text in there if text not in page] == []
    assert [text for text in not_there if text in page] == []


def test_while_a_publish_is_open_the_only_verb_is_to_cancel_it(world: World, browser: Client) -> None:
    publish = world.draft()
    services.request_publish(world.actor, publish.pk)
    page = browser.get(url("detail", publish)).content.decode()
    assert re.findall(r'data-dialog="(\w+)"', page) == ["cancel"]
    assert "배포 중" in korean(browser, url("detail", publish))


def test_cancelling_by_the_dialog_and_without_script(world: World, browser: Client) -> None:
    publish = world.draft()
    operation = services.request_publish(world.actor, publish.pk)
    asks = browser.get(url("cancel", publish)).content.decode()
    assert f'name="operation" value="{operation.pk}"' in asks
    assert browser.post(url("cancel", publish), {"operation": "x"}).status_code == 400
    fragment = browser.post(url("cancel", publish), {"operation": operation.pk}, headers={**SCRIPT, "Accept-Language": "ko"})
    assert fragment.status_code == 200
    assert 'data-outcome="배포가 취소되었습니다"' in fragment.content.decode()
    assert "모든 에이전트를 이전 상태로 되돌리고 있습니다." in text_of(fragment)
    late = browser.post(url("cancel", publish), {"operation": operation.pk}, headers=SCRIPT)
    assert late.status_code == 409
    assert "It has ended already" in text_of(late)
    world.everybody_confirms()
    page = korean(browser, url("detail", publish))
    assert "배포가 취소되었습니다" in page
    assert "되돌리고" not in page
    assert 'id="open-execute"' in browser.get(url("detail", publish)).content.decode()


def test_a_withdrawal_or_a_viewer_is_offered_no_cancelling(world: World, browser: Client) -> None:
    publish = world.published()
    services.request_withdraw(world.actor, publish.pk, reason="x")
    assert "data-dialog" not in browser.get(url("detail", publish)).content.decode()
    open_one = world.draft(hostname_base="o.localhost")
    services.request_publish(world.actor, open_one.pk)
    assert "data-dialog" not in signed_in(member(world.tenant, Role.VIEWER)).get(url("detail", open_one)).content.decode()


def test_the_sentence_above_the_board_says_who_serves_and_who_is_silent(world: World, browser: Client) -> None:
    world.add_agent("seoul-9", connected=False)
    publish = world.published()
    AgentLiveness.objects.filter(agent__name="busan-2").update(last_seen_at=timezone.now() - timedelta(seconds=41))
    page = korean(browser, url("detail", publish))
    assert "에이전트 3개 중 1개가 v1 제공 중 · busan-2 응답 없음 41초 · seoul-9 연결된 적 없음" in page
    services.request_withdraw(world.actor, publish.pk, reason="x")
    world.everybody_confirms()
    assert "에이전트 3개 중 1개가 410으로 응답 중 (v2)" in korean(browser, url("detail", publish))


def test_a_refusing_agents_row_names_the_entity_and_its_words(world: World, browser: Client) -> None:
    publish = world.draft()
    services.request_publish(world.actor, publish.pk)
    (waiting,) = world.agents[0].claim()
    world.agents[0].answer(waiting, Outcome.REFUSED, step="apply", code="rejected", entity="route billing", field="path", message="duplicate domain")
    page = korean(browser, url("detail", publish))
    assert "busan-1 거부" in page
    assert "route billing · path duplicate domain" in page
    assert "배포 실패" in page
    assert "다시 시도" in page
    world.everybody_confirms()
    services.request_publish(world.actor, publish.pk)
    assert "duplicate domain" not in text_of(browser.get(url("agents", publish)))


def test_a69_a73_the_history_tells_who_when_why_and_with_what_evidence(world: World, browser: Client) -> None:
    publish = world.draft()
    services.request_publish(world.actor, publish.pk, note="Production release v2.0")
    world.everybody_confirms()
    services.request_withdraw(world.actor, publish.pk, reason="wrong prices")
    world.everybody_confirms()
    page = korean(browser, url("history", publish))
    order = ["배포 철회 WITHDRAWN", "철회 요청", "배포 실행 PUBLISHED", "배포 요청", "배포 생성 DRAFT"]
    places = [page.index(text) for text in order]
    assert places == sorted(places)
    assert page.count("Production release v2.0") == 2
    assert "wrong prices" in page
    assert "초 만에 확인됨" in page
    assert "busan-1 v1 · 요청 48회 정상 응답 · 적용 50ms · 확인 20ms" in page


def test_a_long_history_comes_in_pages_of_20(world: World, browser: Client) -> None:
    publish = world.draft()
    PublishEvent.objects.bulk_create(PublishEvent(publish=publish, kind="updated", note=f"change {n}") for n in range(60))
    first, last = browser.get(url("history", publish)).content.decode(), browser.get(url("history", publish), {"page": 4}).content.decode()
    assert first.count("<li class=") == 20
    assert "change 59" in first
    assert last.count("<li class=") == 1
    assert 'id="older"' not in last
    assert "change 30" in browser.get(url("detail", publish), {"history": 2}).content.decode()
    assert browser.get(url("history", publish), {"page": "many"}).status_code == 200


def test_the_services_of_a_published_one_are_those_that_went_live(world: World, browser: Client) -> None:
    publish = world.published()
    ApiService.objects.filter(name="Billing Service").update(upstream_port=9999)
    page = text_of(browser.get(url("detail", publish)))
    assert "/billing/* → 127.0.0.1:8081" in page
    assert "The product has changed since." in page
    withdrawn = text_of(browser.get(url("detail", world.withdrawn(hostname_base="w.localhost"))))
    assert "127.0.0.1:9999" in withdrawn
    assert "The product has changed since." not in withdrawn


def test_what_does_not_go_along_is_named_with_its_reason(world: World, browser: Client) -> None:
    add_service(world.product, "Legacy", "/legacy", ["GET"], active=False)
    add_service(world.product, "Empty", None, [])
    page = text_of(browser.get(url("detail", world.draft())))
    assert "Legacy — The service is inactive." in page
    assert "Empty — The service has no active route." in page


@pytest.mark.parametrize(
    ("proxy", "methods", "expected"),
    [
        ("http://10.0.0.5:8080", None, "curl http://payment-api.dev.kr-seoul.localhost:8080/billing"),
        ("https://gw.example", None, "curl https://payment-api.dev.kr-seoul.localhost/billing"),
        ("http://10.0.0.5:8080", ["POST"], "curl -X POST http://payment-api.dev.kr-seoul.localhost:8080/billing"),
        ("", None, ""),
    ],
)
def test_the_command_calls_the_first_route_through_an_agent_that_serves(
    world: World, browser: Client, proxy: str, methods: list[str] | None, expected: str
) -> None:
    if methods is not None:
        for service in world.product.services.all():
            service.routes.update(methods=methods)
    AgentLiveness.objects.filter(agent__name="busan-2").update(proxy_url=proxy)
    publish = world.published()
    page = browser.get(url("detail", publish)).content.decode()
    assert (f'<code id="curl">{expected}</code>' in page) == bool(expected)
    AgentLiveness.objects.update(last_seen_at=timezone.now() - timedelta(minutes=1))
    deployed = selectors.deployed_spec_of(publish)
    assert deployed is not None
    assert curl.command(selectors.live_of(world.actor, publish.pk), deployed.services) == ""


def test_a_script_gets_the_fragment_with_the_board_and_news_of_the_history(world: World, browser: Client) -> None:
    publish = world.draft()
    answer = browser.post(url("execute", publish), headers=SCRIPT)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert page.strip().startswith('<section id="live"')
    assert 'id="agents" class="card" aria-labelledby="agents-title" hx-swap-oob="true"' in page
    assert "history-changed" in answer.headers["HX-Trigger-After-Settle"]


def test_a_refusal_is_a_fragment_with_the_sentence_for_a_script_and_a_page_for_people(world: World, browser: Client) -> None:
    publish = world.draft()
    world.cluster.maintenance = True
    world.cluster.save()
    fragment = browser.post(url("execute", publish), headers=SCRIPT)
    assert fragment.status_code == 409
    assert fragment.content.decode().strip().startswith('<section id="live"')
    assert "The cluster is in maintenance" in fragment.content.decode()
    page = browser.post(url("execute", publish))
    assert page.status_code == 409
    assert "<html" in page.content.decode()


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
def test_a62_a_reason_of_1_to_500_characters_is_asked_for_again_with_what_was_typed(world: World, browser: Client, reason: str) -> None:
    publish = world.published()
    fragment = browser.post(url("withdraw", publish), {"reason": reason}, headers=SCRIPT)
    assert fragment.status_code == 422
    assert "data-open" in fragment.content.decode()
    page = browser.post(url("withdraw", publish), {"reason": reason})
    assert page.status_code == 422
    assert "Say why, in 1 to 500 characters." in page.content.decode()
    if reason.strip():
        assert reason in page.content.decode()
    assert Operation.objects.filter(kind="withdraw").count() == 0


@pytest.mark.parametrize("verb", ["execute", "withdraw", "delete"])
def test_each_dialog_is_a_page_for_those_without_script(world: World, browser: Client, verb: str) -> None:
    publish = world.published() if verb == "withdraw" else world.draft()
    page = browser.get(url(verb, publish))
    assert page.status_code == 200
    assert f'action="{url(verb, publish)}"' in page.content.decode()
    assert "hx-post" not in page.content.decode()
    wrong = world.draft(hostname_base="n.localhost") if verb == "withdraw" else world.published(hostname_base="n.localhost")
    assert browser.get(url(verb, wrong)).headers["Location"] == url("detail", wrong)
    assert signed_in(member(world.tenant, Role.VIEWER)).get(url(verb, publish)).status_code == 403


def test_a_draft_never_sent_is_deleted_at_once_and_a_script_is_led_to_the_product(world: World, browser: Client) -> None:
    publish = world.draft()
    assert browser.post(url("delete", publish), headers=SCRIPT).headers["HX-Redirect"].endswith(str(world.product.pk))
    assert not ProductPublish.objects.exists()


def test_being_told_twice_that_it_is_gone_is_one_toast(world: World, browser: Client) -> None:
    publish = world.withdrawn()
    services.request_delete(world.actor, publish.pk)
    world.everybody_confirms()
    for _ in range(2):
        browser.get(url("live", publish), headers=SCRIPT)
    assert browser.get(f"/provider/products/{world.product.pk}").content.decode().count("The publish was deleted") == 1


def test_the_board_at_rest_wakes_the_status_when_more_than_the_clock_changed(world: World, browser: Client) -> None:
    publish = world.published()
    board = browser.get(url("agents", publish))
    seen = board.content.decode().split("?seen=")[1].split('"')[0]
    assert "live-changed" not in browser.get(url("agents", publish), {"seen": seen}).headers.get("HX-Trigger", "")
    AgentLiveness.objects.update(last_seen_at=timezone.now())
    assert "live-changed" not in browser.get(url("agents", publish), {"seen": seen}).headers.get("HX-Trigger", "")
    services.request_withdraw(world.actor, publish.pk, reason="x")
    assert "live-changed" in browser.get(url("agents", publish), {"seen": seen}).headers["HX-Trigger"]


def test_polling_slows_down_with_the_operations_age(world: World, browser: Client) -> None:
    publish = world.draft()
    operation = services.request_publish(world.actor, publish.pk)
    for age, every in ((0, "100ms"), (5, "250ms"), (30, "1000ms")):
        Operation.objects.filter(pk=operation.pk).update(created_at=timezone.now() - timedelta(seconds=age))
        answer: Any = browser.get(url("live", publish), {"seen": "0"})
        assert f"every {every}" in answer.content.decode()


@pytest.mark.parametrize(("verb", "outcome"), [("publish", "배포가 완료되었습니다"), ("withdraw", "배포가 철회되었습니다")])
def test_a67_the_outcome_that_becomes_a_toast(world: World, browser: Client, verb: str, outcome: str) -> None:
    publish = world.published() if verb == "publish" else world.withdrawn()
    fragment = browser.get(url("live", publish), headers={"Accept-Language": "ko"}).content.decode()
    assert f'data-outcome="{outcome}"' in fragment
    assert "data-open" not in fragment


def test_a_session_that_ended_reloads_the_page_instead_of_filling_the_fragment(world: World) -> None:
    answer = Client().get(url("live", world.draft()), headers=SCRIPT)
    assert answer.headers["HX-Refresh"] == "true"
    assert answer.content == b""


def test_a_script_that_may_not_is_told_in_a_toast(world: World) -> None:
    viewer = signed_in(member(world.tenant, Role.VIEWER))
    answer = viewer.post(url("execute", world.draft()), headers=SCRIPT)
    assert answer.status_code == 403
    assert "Your role does not allow this." in answer.headers["HX-Trigger"]


def test_the_products_board_refreshes_itself_faster_while_something_goes_on(world: World, browser: Client) -> None:
    publish, board = world.draft(), f"/provider/products/{world.product.pk}/publishes"
    calm = browser.get(board, headers=SCRIPT).content.decode()
    assert "every 10s" in calm
    seen = calm.split("?seen=")[1].split('"')[0]
    assert browser.get(board, {"seen": seen}, headers=SCRIPT).status_code == 204
    services.request_publish(world.actor, publish.pk)
    busy = browser.get(board, {"seen": seen}, headers={**SCRIPT, "Accept-Language": "ko"}).content.decode()
    assert "every 1s" in busy
    assert "배포 중" in busy
    assert browser.get(board).headers["Location"] == f"/provider/products/{world.product.pk}"


def test_the_command_comes_when_the_publish_is_live(world: World, browser: Client) -> None:
    AgentLiveness.objects.update(proxy_url="http://10.0.0.5:8080")
    publish = world.draft()
    assert "curl" not in text_of(browser.get(url("command", publish)))
    services.request_publish(world.actor, publish.pk)
    world.everybody_confirms()
    assert "curl http://payment-api.dev.kr-seoul.localhost:8080/billing" in text_of(browser.get(url("command", publish)))
