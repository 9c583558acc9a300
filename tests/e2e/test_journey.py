"""The whole way in a real browser: from the product to a publish that is live, withdrawn and gone."""

import re
import threading

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect

from agent.protocol.messages import Outcome
from publishes.models import Operation, ProductPublish
from publishes.verbs import publishing
from tests.e2e.browser import Guard
from tests.e2e.conftest import Open
from tests.e2e.scenes import detail
from tests.world import World


def product_path(world: World) -> str:
    return reverse("products:detail", args=[world.product.pk])


def through_the_wizard(page: Page, world: World) -> None:
    page.get_by_role("link", name="New publish").click()
    expect(page.get_by_role("radio", name=re.compile(world.cluster.name))).to_be_checked()  # the only one
    page.get_by_role("button", name="Next step").click()
    expect(page.get_by_role("radio", name=re.compile(world.gateway.name))).to_be_checked()
    page.get_by_role("button", name="Next step").click()
    page.get_by_role("button", name="Next step").click()
    expect(page.locator("#checks")).to_be_visible()
    page.get_by_role("button", name="Create the publish").click()


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_from_the_product_to_live_withdrawn_and_gone(
    stage: World, client: Client, open_as: Open, agents_at_work: threading.Event, size: str
) -> None:
    page = open_as(client, size=size)
    page.goto(product_path(stage))
    through_the_wizard(page, stage)
    expect(page.locator(".toast")).to_contain_text("The publish was created")
    expect(page.locator("#live")).to_contain_text("DRAFT")

    page.get_by_role("button", name="Publish now").click()
    page.get_by_label("Note").fill("Production release v2.0")
    page.get_by_role("dialog").get_by_role("button", name="Publish now").click()
    expect(page.locator("#live")).to_contain_text("PUBLISHED")
    expect(page.locator(".toast").last).to_contain_text("The publish is live")
    expect(page.locator("#agents")).to_contain_text("3 of 3 agents serve v1")
    expect(page.locator("#history")).to_contain_text("Production release v2.0")
    expect(page.locator("#curl")).to_contain_text(
        "curl http://payment-api.dev.kr-seoul.localhost:18080/billing"
    )

    page.get_by_role("button", name="Withdraw").click()
    page.get_by_label("Reason for withdrawing").fill("Wrong price list")
    page.get_by_role("dialog").get_by_role("button", name="Withdraw").click()
    expect(page.locator("#live")).to_contain_text("WITHDRAWN")
    expect(page.locator(".toast").last).to_contain_text("The publish was withdrawn")
    expect(page.locator("#history")).to_contain_text("Wrong price list")

    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page).to_have_url(re.compile(f"{product_path(stage)}$"))
    expect(page.locator(".toast")).to_contain_text("The publish was deleted")
    expect(page.locator("#publishes")).to_contain_text("Nothing is deployed yet")


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_nothing_scrolls_sideways(stage: World, client: Client, open_as: Open, size: str) -> None:
    stage.published()
    page = open_as(client, size=size)
    for path in (reverse("products:list"), product_path(stage), detail(ProductPublish.objects.get())):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_by_keyboard_alone(
    stage: World, client: Client, open_as: Open, agents_at_work: threading.Event
) -> None:
    publish = stage.draft()
    page = open_as(client)
    page.goto(detail(publish))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, "#open-execute")
    page.keyboard.press("Space")
    expect(page.get_by_label("Note")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#open-execute")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.type("by keyboard")
    tab_to(page, "dialog button.primary")
    page.keyboard.press("Enter")
    expect(page.locator("#live")).to_contain_text("PUBLISHED")
    expect(page.locator("#live-title")).to_be_focused()


def tab_to(page: Page, selector: str) -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"Tab does not lead to {selector}.")


def test_without_script_each_dialog_is_a_page(
    stage: World, client: Client, open_as: Open, guard: Guard
) -> None:
    guard.may_refuse = True
    publish = stage.draft()
    page = open_as(client, script=False)
    page.goto(detail(publish))
    page.get_by_role("link", name="Publish now").click()
    page.get_by_label("Note").fill("without script")
    page.get_by_role("button", name="Publish now").click()
    expect(page.locator("#live")).to_contain_text("Publishing")
    stage.everybody_confirms()
    page.reload()
    page.get_by_role("link", name="Withdraw").click()
    page.get_by_label("Reason for withdrawing").fill(" ")
    page.get_by_role("button", name="Withdraw").click()
    expect(page.get_by_text("Say why, in 1 to 500 characters.")).to_be_visible()
    page.get_by_label("Reason for withdrawing").fill("done")
    page.get_by_role("button", name="Withdraw").click()
    expect(page.locator("#live")).to_contain_text("Withdrawing")


def test_a_button_is_busy_at_once_and_never_starts_twice(
    stage: World, client: Client, open_as: Open, guard: Guard
) -> None:
    guard.may_fail = True
    publish = stage.draft()
    page = open_as(client)
    page.goto(detail(publish))
    requests: list[object] = []
    page.route("**/execute", lambda route: requests.append(route))  # noqa: PLW0108 - Playwright marks the function it is given
    page.get_by_role("button", name="Publish now").click()
    button = page.locator("#execute button.primary")
    button.dblclick()
    expect(button).to_be_disabled()
    expect(button).to_have_attribute("data-busy", "")
    page.locator("#execute form").evaluate("(form) => form.requestSubmit()")
    assert len(requests) == 1
    requests[0].abort()  # type: ignore[attr-defined]
    expect(button).to_be_enabled()
    expect(page.locator(".toast.bad")).to_contain_text("The connection was lost")
    assert not Operation.objects.exists()


def test_a_refusal_comes_into_the_page_with_what_to_do(
    stage: World, client: Client, open_as: Open, guard: Guard
) -> None:
    publish = stage.draft()
    page = open_as(client)
    page.goto(detail(publish))
    stage.cluster.maintenance = True
    stage.cluster.save()
    guard.may_refuse = True
    page.get_by_role("button", name="Publish now").click()
    page.get_by_role("dialog").get_by_role("button", name="Publish now").click()
    expect(page.get_by_role("alert")).to_contain_text("The cluster is in maintenance")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_missing_reason_leaves_the_dialog_open_with_what_was_typed(
    stage: World, client: Client, open_as: Open, guard: Guard
) -> None:
    page = open_as(client)
    page.goto(detail(stage.published()))
    guard.may_refuse = True
    page.get_by_role("button", name="Withdraw").click()
    page.get_by_label("Reason for withdrawing").fill("  ")
    page.get_by_role("dialog").get_by_role("button", name="Withdraw").click()
    expect(page.get_by_role("dialog")).to_contain_text("Say why, in 1 to 500 characters.")


def test_a_failure_shows_the_agents_words_and_try_again_works(
    stage: World, client: Client, open_as: Open
) -> None:
    publish = stage.draft()
    publishing.request_publish(stage.actor, publish.pk)
    page = open_as(client)
    page.goto(detail(publish))
    (waiting,) = stage.agents[0].claim()
    stage.agents[0].answer(
        waiting,
        Outcome.REFUSED,
        step="apply",
        code="rejected",
        entity="route billing",
        field="path",
        message="Duplicate domain.",
    )
    expect(page.locator("#live")).to_contain_text("Publishing failed")
    expect(page.locator("#agents")).to_contain_text("busan-1 refused")
    expect(page.locator("#agents")).to_contain_text("Duplicate domain.")
    stage.everybody_confirms()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#live .badge.busy")).to_have_text("Publishing")
    stage.everybody_confirms()
    expect(page.locator("#live")).to_contain_text("PUBLISHED")


def test_what_somebody_else_does_is_seen_without_reloading(
    stage: World, client: Client, open_as: Open
) -> None:
    publish = stage.draft()
    page = open_as(client)
    page.clock.install()
    page.goto(detail(publish))
    publishing.request_publish(stage.actor, publish.pk)
    page.clock.run_for(10_500)
    expect(page.locator("#live")).to_contain_text("Publishing")


def test_a_poll_leaves_an_open_dialog_alone(stage: World, client: Client, open_as: Open) -> None:
    publish = stage.draft()
    page = open_as(client)
    page.clock.install()
    page.goto(detail(publish))
    page.get_by_role("button", name="Publish now").click()
    page.get_by_label("Note").fill("half typed")
    publishing.request_publish(stage.actor, publish.pk)
    page.clock.run_for(21_000)
    expect(page.get_by_label("Note")).to_have_value("half typed")


def test_copying_theme_and_language(stage: World, client: Client, open_as: Open) -> None:
    page = open_as(client)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(detail(stage.published()))
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#announcements")).to_have_text("Copied")
    assert (
        page.evaluate("navigator.clipboard.readText()")
        == "curl http://payment-api.dev.kr-seoul.localhost:18080/billing"
    )
    page.get_by_role("button", name="Light or dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    url_before = page.url
    page.get_by_role("button", name="한국어").click()
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    assert page.url == url_before


def test_a_sign_in_that_ended_leads_to_the_sign_in_page(stage: World, client: Client, open_as: Open) -> None:
    page = open_as(client)
    page.goto(detail(stage.draft()))
    client.logout()
    page.get_by_role("button", name="Publish now").click()
    page.get_by_role("dialog").get_by_role("button", name="Publish now").click()
    expect(page).to_have_url(re.compile(r"/sign-in\?next="))


def test_what_is_being_read_or_focused_survives_parts_that_refresh_themselves(
    stage: World, client: Client, open_as: Open
) -> None:
    page = open_as(client)
    page.goto(detail(stage.published()))
    copy = page.locator("#copy-curl")
    copy.focus()
    with page.expect_response("**/command*"), page.expect_response("**/history*"):
        page.evaluate("document.body.dispatchEvent(new Event('history-changed'))")
    expect(copy).to_be_focused()

    page.get_by_text("Evidence of 3 agents").click()
    page.evaluate("document.body.dispatchEvent(new Event('history-changed'))")
    page.wait_for_timeout(400)
    expect(page.locator("#history details")).to_have_attribute("open", "")
