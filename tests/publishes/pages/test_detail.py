"""The page of one publish: its words, its buttons, its board and its history (A52-A58, A69-A73)."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from agent.protocol.messages import Outcome
from clusters.models import AgentLiveness
from products.models import ApiService, Product
from publishes import sweeping
from publishes.models import PublishEvent
from publishes.reading.callers import curl
from publishes.reading.detail.snapshot import snapshot_of
from publishes.reading.facts import selectors
from publishes.reading.lists import environments
from publishes.verbs import cancelling, publishing, withdrawing
from tenants.actors import Role
from tests.pages import SCRIPT, html_of, korean, member, signed_in, text_of, url
from tests.world import World, add_service


def test_a52_a57_a58_what_stands_on_the_page_in_the_briefs_words(world: World, browser: Client) -> None:
    publish = world.published(environment="prod", hostname_base="payment-api.prod.kr-seoul.localhost")
    page = korean(browser, url("detail", publish))
    for text in (
        "Payment API - Production 배포",
        "배포 목록",
        "Payment API v2.0 → acme-kr",
        "환경: prod",
        "인증 방식: None",
        "acme-owner",
    ):
        assert text in page
    for text in (
        "배포 정보",
        "클러스터",
        "Hostname payment-api.prod.kr-seoul.localhost",
        "공개 범위: Public",
        "구독 승인: 필요",
        "API Services (3)",
    ):
        assert text in page
    assert "Billing Service 활성 /billing/* → 127.0.0.1:8081 GET POST PUT DELETE" in page
    assert "배포 이력" in page


@pytest.mark.parametrize(
    ("status", "texts", "absent_texts"),
    [
        ("draft", ["배포 실행", "삭제", "설정 변경"], ["철회 사유", "재배포할까요?"]),
        (
            "published",
            ["철회", "배포된 설정은 변경할 수 없습니다"],
            ["설정 변경", "배포를 실행할까요?", "배포를 삭제할까요?"],
        ),
        ("withdrawn", ["재배포", "삭제", "410 Gone"], ["설정 변경", "철회 사유"]),
    ],
)
def test_a55_the_buttons_of_each_status(
    world: World, browser: Client, status: str, texts: list[str], absent_texts: list[str]
) -> None:
    page = korean(browser, url("detail", getattr(world, status)()))
    assert [text for text in texts if text not in page] == []
    assert [text for text in absent_texts if text in page] == []


def test_while_a_publish_is_open_the_only_verb_is_to_cancel_it(world: World, browser: Client) -> None:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    page = html_of(browser.get(url("detail", publish)))
    assert re.findall(r'data-dialog="(\w+)"', page) == ["cancel"]
    assert "배포 중" in korean(browser, url("detail", publish))


def test_a_withdrawal_or_a_viewer_is_offered_no_cancelling(world: World, browser: Client) -> None:
    publish = world.published()
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    assert "data-dialog" not in html_of(browser.get(url("detail", publish)))
    publishing_now = world.draft(hostname_base="o.localhost")
    publishing.request_publish(world.actor, publishing_now.pk)
    assert "data-dialog" not in html_of(
        signed_in(member(world.tenant, Role.VIEWER)).get(url("detail", publishing_now))
    )


def test_the_sentence_above_the_board_says_who_serves_and_who_is_silent(
    world: World, browser: Client
) -> None:
    world.add_agent("seoul-9", connected=False)
    publish = world.published()
    AgentLiveness.objects.filter(agent__name="busan-2").update(
        last_seen_at=timezone.now() - timedelta(seconds=41)
    )
    page = korean(browser, url("detail", publish))
    assert "에이전트 3개 중 1개가 v1 제공 중 · busan-2 응답 없음 41초 · seoul-9 연결된 적 없음" in page
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    world.everybody_confirms()
    assert "에이전트 3개 중 1개가 410으로 응답 중 (v2)" in korean(browser, url("detail", publish))


def test_a_refusing_agents_row_names_the_entity_and_its_words(world: World, browser: Client) -> None:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    (waiting,) = world.agents[0].claim()
    world.agents[0].answer(
        waiting,
        Outcome.REFUSED,
        step="apply",
        code="rejected",
        entity="route billing",
        field="path",
        message="duplicate domain",
    )
    page = korean(browser, url("detail", publish))
    assert "busan-1 거부" in page
    assert "route billing · path duplicate domain" in page
    assert "배포 실패" in page
    assert "다시 시도" in page
    world.everybody_confirms()
    publishing.request_publish(world.actor, publish.pk)
    assert "duplicate domain" not in text_of(browser.get(url("agents", publish)))


def test_a69_a73_the_history_tells_who_when_why_and_with_what_evidence(world: World, browser: Client) -> None:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk, note="Production release v2.0")
    world.everybody_confirms()
    withdrawing.request_withdraw(world.actor, publish.pk, reason="wrong prices")
    world.everybody_confirms()
    page = korean(browser, url("history", publish))
    order = ["배포 철회 WITHDRAWN", "요청: ", "배포 실행 PUBLISHED", "요청: ", "배포 생성 DRAFT"]
    pattern = ".*".join(re.escape(text) for text in order)
    assert re.search(pattern, page, re.DOTALL)
    assert page.count("Production release v2.0") == 1
    assert [label for label in ("철회 요청", "배포 요청") if label in page] == []
    assert "wrong prices" in page
    assert "초 만에 Gateway 확인됨" in page
    assert "busan-1 v1 · 요청 48회 정상 응답 · 적용 50ms · 확인 20ms" in page


def test_a_request_has_a_line_of_its_own_until_its_operation_has_ended(world: World, browser: Client) -> None:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk, note="the reason")
    assert "Publish requested" in text_of(browser.get(url("history", publish)))
    cancelling.cancel(replace(world.actor, label="colleague"), publish.pk)
    page = text_of(browser.get(url("history", publish)))
    assert "Publish requested" not in page
    assert "Cancelled" in page
    assert "requested " in page
    assert f"by {world.actor.label}" in page
    assert "the reason" in page


def test_cluster_gateway_and_services_lead_to_their_pages(world: World, browser: Client) -> None:
    publish = world.published()
    page = html_of(browser.get(url("detail", publish)))
    service = world.product.services.first()
    assert service is not None
    for name, pk in (
        ("clusters:detail", publish.cluster_id),
        ("gateways:detail", publish.gateway_id),
        ("services:detail", service.pk),
    ):
        link = reverse(name, args=[pk])
        assert f'href="{link}"' in page
        assert browser.get(link).status_code == 200


def test_the_api_documentation_and_for_operators_the_admin_are_linked(world: World, browser: Client) -> None:
    page = html_of(browser.get(url("detail", world.draft())))
    assert f'href="{reverse("api:openapi-view")}"' in page
    assert f'href="{reverse("admin:index")}"' not in page
    world.user.is_staff = True
    world.user.save(update_fields=["is_staff"])
    assert f'href="{reverse("admin:index")}"' in html_of(browser.get(reverse("products:list")))


def test_on_the_board_what_is_live_stands_above_drafts(world: World, browser: Client) -> None:
    world.draft(hostname_base="a.localhost")
    published = world.published(hostname_base="z.localhost")
    world.draft(hostname_base="b.localhost")
    (column, *_others) = environments.board_of(world.actor, world.product).columns
    assert column.publishes[0] == published
    assert [row.status for row in column.publishes] == ["PUBLISHED", "DRAFT", "DRAFT"]


def test_the_command_names_the_agent_that_it_goes_through_when_several_serve(
    world: World, browser: Client
) -> None:
    AgentLiveness.objects.filter(agent__name="busan-2").update(proxy_url="http://10.0.0.5:8080")
    publish = world.published()
    assert "It goes through the gateway of" not in text_of(browser.get(url("command", publish)))
    AgentLiveness.objects.filter(agent__name="busan-1").update(proxy_url="http://10.0.0.4:8080")
    assert "It goes through the gateway of busan-1; 1 other serves it too." in text_of(
        browser.get(url("command", publish))
    )


def test_a_long_history_comes_in_pages_of_20(world: World, browser: Client) -> None:
    publish = world.draft()
    PublishEvent.objects.bulk_create(
        PublishEvent(publish=publish, kind="updated", note=f"change {n}") for n in range(60)
    )
    first, last = (
        html_of(browser.get(url("history", publish))),
        html_of(browser.get(url("history", publish), {"page": 4})),
    )
    assert first.count("<li class=") == 20
    assert "change 59" in first
    assert last.count("<li class=") == 1
    assert 'id="older"' not in last
    assert "change 30" in html_of(browser.get(url("detail", publish), {"history": 2}))
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
        (
            "http://10.0.0.5:8080",
            ["POST"],
            "curl -X POST http://payment-api.dev.kr-seoul.localhost:8080/billing",
        ),
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
    page = html_of(browser.get(url("detail", publish)))
    assert (f'<code id="curl">{expected}</code>' in page) == bool(expected)
    AgentLiveness.objects.update(last_seen_at=timezone.now() - timedelta(minutes=1))
    deployed = selectors.deployed_spec_of(publish)
    assert deployed is not None
    assert curl.command(snapshot_of(world.actor, publish.pk), deployed.services) is None


def test_the_products_board_refreshes_itself_faster_while_something_goes_on(
    world: World, browser: Client
) -> None:
    publish, board = world.draft(), f"/provider/products/{world.product.pk}/publishes"
    calm = html_of(browser.get(board, headers=SCRIPT))
    assert "every 10s" in calm
    version = calm.split("?seen=")[1].split('"')[0]
    assert browser.get(board, {"seen": version}, headers=SCRIPT).status_code == 204
    publishing.request_publish(world.actor, publish.pk)
    busy = html_of(browser.get(board, {"seen": version}, headers={**SCRIPT, "Accept-Language": "ko"}))
    assert "every 1s" in busy
    assert "배포 중" in busy
    assert browser.get(board).headers["Location"] == f"/provider/products/{world.product.pk}"


def test_the_command_comes_when_the_publish_is_live(world: World, browser: Client) -> None:
    AgentLiveness.objects.update(proxy_url="http://10.0.0.5:8080")
    publish = world.draft()
    assert "curl" not in text_of(browser.get(url("command", publish)))
    publishing.request_publish(world.actor, publish.pk)
    world.everybody_confirms()
    assert "curl http://payment-api.dev.kr-seoul.localhost:8080/billing" in text_of(
        browser.get(url("command", publish))
    )


def test_the_services_follow_what_becomes_live_without_the_page_being_loaded_again(
    world: World, browser: Client
) -> None:
    moved = "The product has changed since"
    publish = world.published()
    ApiService.objects.filter(name="Billing Service").update(upstream_port=9_999)
    first = browser.get(url("detail", publish))
    assert (moved in text_of(first), "127.0.0.1:9999" in text_of(first)) == (True, False)
    assert f'hx-get="{url("services", publish)}" hx-trigger="history-changed from:body"' in html_of(first)
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    world.everybody_confirms()
    publishing.request_publish(world.actor, publish.pk)
    world.everybody_confirms()
    after = text_of(browser.get(url("services", publish), headers=SCRIPT))
    assert (moved in after, "127.0.0.1:9999" in after) == (False, True)


def test_a_withdrawn_one_answers_410_everywhere_only_when_every_agent_has_proved_it(
    world: World, browser: Client
) -> None:
    publish = world.published()
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    world.agents[0].confirm_all()
    away = world.agents[1].agent
    AgentLiveness.objects.filter(agent=away).update(last_seen_at=timezone.now() - timedelta(seconds=41))
    sweeping.sweep()
    publish.refresh_from_db()
    assert publish.status == "WITHDRAWN"
    page = text_of(browser.get(url("detail", publish), headers={"Accept-Language": "en"}))
    assert "answers 410 Gone" not in page
    assert f"Not proved yet on {away.name}: callers there may still be served." in page
    world.agents[1].confirm_all()
    page = text_of(browser.get(url("detail", publish), headers={"Accept-Language": "en"}))
    assert "Every path of the hostname answers 410 Gone." in page
    assert "may still be served" not in page


@pytest.mark.parametrize(
    ("status", "text"), [("archived", "The product is archived"), ("draft", "The product is not active")]
)
def test_what_cannot_be_published_is_not_offered_but_can_be_deleted(
    world: World, browser: Client, status: str, text: str
) -> None:
    publish = world.withdrawn()
    Product.objects.update(status=status)
    page = browser.get(url("detail", publish), headers={"Accept-Language": "en"})
    assert 'id="open-execute"' not in html_of(page)
    assert 'id="open-delete"' in html_of(page)
    assert text in text_of(page)
    refused = browser.post(url("execute", publish), headers={"Accept-Language": "en"})
    assert refused.status_code == 409
    assert text in text_of(refused)
