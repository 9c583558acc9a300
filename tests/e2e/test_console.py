"""Overview and account in a real browser: filters while typing, polling, menus by keyboard, no script."""

import re

from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect
from pytest_django import Settings

from products.models import Product
from publishes.verbs import drafts, publishing
from tenants.models import Membership, Tenant
from tests.e2e.browser import Guard, complaints
from tests.e2e.conftest import Open
from tests.e2e.test_journey import tab_to
from tests.tenants.people.test_sign_in import code_of
from tests.world import World

OVERVIEW = reverse("overview:list")


def ledger(world: World) -> None:
    product = Product.objects.create(
        tenant=world.tenant, name="Ledger API", version="0.3", status=Product.Status.ACTIVE
    )
    drafts.create_publish(
        world.actor,
        product,
        settings=world.settings(environment="prod", hostname_base="ledger.prod.localhost"),
    )


def test_filters_follow_the_typing_stay_in_the_url_and_leave_the_focus_alone(
    stage: World, client: Client, open_as: Open
) -> None:
    stage.published()
    ledger(stage)
    page = open_as(client)
    page.goto(OVERVIEW)
    rows = page.locator(".matrix tbody tr")
    expect(rows).to_have_count(2)
    search = page.get_by_role("searchbox")
    search.press_sequentially("ledg", delay=40)
    expect(rows).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?text=ledg$"))
    expect(search).to_be_focused()
    page.get_by_label("Environment").select_option("dev")
    expect(page.locator("#overview")).to_contain_text("Nothing matches these filters")
    page.reload()
    expect(search).to_have_value("ledg")
    page.get_by_role("link", name="Show everything").click()
    expect(rows).to_have_count(2)


def test_the_overview_shows_by_itself_what_is_going_on(stage: World, client: Client, open_as: Open) -> None:
    publish = stage.draft()
    publishing.request_publish(stage.actor, publish.pk)
    page = open_as(client)
    page.goto(OVERVIEW)
    expect(page.locator(".matrix")).to_contain_text("Publishing")
    stage.everybody_confirms()
    expect(page.locator(".matrix")).to_contain_text("PUBLISHED")
    expect(page.locator("#tile-1 b")).to_have_text("0")


def test_without_script_the_filters_work_by_their_button(stage: World, client: Client, open_as: Open) -> None:
    stage.published()
    ledger(stage)
    page = open_as(client, script=False)
    page.goto(OVERVIEW)
    page.get_by_label("Environment").select_option("prod")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".matrix tbody tr")).to_have_count(1)
    expect(page.locator(".matrix")).to_contain_text("Ledger API")


def test_the_workspace_is_switched_by_keyboard_alone(stage: World, client: Client, open_as: Open) -> None:
    Membership.objects.create(
        user=stage.user, tenant=Tenant.objects.create(slug="globex", name="Globex"), role="viewer"
    )
    page = open_as(client)
    page.goto(OVERVIEW)
    tab_to(page, ".who summary")
    page.keyboard.press("Enter")
    tab_to(page, ".who button")
    page.keyboard.press("Enter")
    expect(page.locator(".who summary")).to_contain_text("Globex")
    expect(page).to_have_url(re.compile(f"{reverse('products:list')}$"))


def test_the_account_menu_closes_by_escape_by_a_click_elsewhere_and_by_going_on(
    stage: World, client: Client, open_as: Open
) -> None:
    page = open_as(client, size="phone")
    page.goto(OVERVIEW)
    summary, menu = page.locator(".who summary"), page.locator(".who .menu")
    summary.click()
    menu.get_by_role("link", name="My account").focus()
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    expect(summary).to_be_focused()
    summary.click()
    expect(menu).to_be_visible()
    page.mouse.click(195, 700)
    expect(menu).to_be_hidden()
    summary.click()
    menu.get_by_role("link").last.focus()
    page.keyboard.press("Tab")
    expect(menu).to_be_hidden()


def test_a_token_is_made_copied_and_revoked(stage: World, client: Client, open_as: Open) -> None:
    page = open_as(client)
    page.goto(reverse("account:tokens"))
    page.get_by_label("Name").fill("CI")
    page.get_by_role("button", name="Make a token").click()
    expect(page.locator("#new-token")).to_contain_text("impg_")
    page.goto(reverse("account:tokens"))
    expect(page.locator("#new-token")).to_have_count(0)
    page.get_by_role("link", name="Revoke CI").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.locator(".toast")).to_contain_text("The token was revoked")
    expect(page.locator("#tokens")).to_contain_text("revoked")


def test_nobody_is_let_in_twice_and_the_page_says_why(
    stage: World, client: Client, open_as: Open, guard: Guard
) -> None:
    guard.may_refuse = True
    page = open_as(client)
    page.goto(reverse("account:members"))
    page.get_by_label("User name").fill(stage.user.username)
    page.get_by_role("button", name="Invite").click()
    expect(page.locator(".error-text")).to_have_text("This person is already a member.")


def test_a_dialog_of_a_workspace_that_another_tab_has_left_does_nothing_and_leads_back(
    stage: World, client: Client, open_as: Open, guard: Guard
) -> None:
    guard.may_refuse = True
    publish = stage.published()
    globex = Tenant.objects.create(name="Globex", slug="globex")
    Membership.objects.create(user=stage.user, tenant=globex, role="owner")
    path = reverse("publishes:detail", args=[publish.product_id, publish.pk])
    page = open_as(client)
    page.goto(path)
    page.locator("#open-withdraw").click()
    page.locator("dialog [name=reason]").fill("moving")
    client.post(reverse("account:workspace"), {"tenant": str(globex.pk)})
    page.locator("dialog .button.primary").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This form was of another workspace")
    expect(page.locator("#content")).to_contain_text("This form was of Acme, but you work in Globex now")
    publish.refresh_from_db()
    assert publish.desired_state == "live"
    page.get_by_role("button", name="Back to Acme").click()
    page.wait_for_url(f"**{path}")
    expect(page.locator("#open-withdraw")).to_be_visible()


def test_axe_finds_nothing_on_the_pages_of_the_second_step(
    stage: World, client: Client, open_as: Open, settings: Settings
) -> None:
    settings.TWO_STEP = True
    page = open_as(client, language="ko")
    page.goto(reverse("mfa_activate_totp"))
    looked_at = [_checked(page)]
    page.get_by_label("비밀번호").fill("acme-secret")
    page.get_by_role("button", name="계속").click()
    looked_at.append(_checked(page))
    page.locator("[name=code]").fill(code_of(page.locator(".card code").inner_text()))
    page.get_by_role("button", name="켜기").click()
    expect(page.locator("#codes")).to_contain_text(re.compile(r"\d{8}"))
    looked_at.append(_checked(page))
    for name in ("mfa_index", "mfa_generate_recovery_codes", "mfa_deactivate_totp"):
        page.goto(reverse(name))
        looked_at.append(_checked(page))
    other = open_as(language="ko")
    other.goto(reverse("sign-in"))
    other.get_by_label("사용자 이름").fill(stage.user.username)
    other.get_by_label("비밀번호").fill("acme-secret")
    other.get_by_role("button", name="로그인").click()
    looked_at.append(_checked(other))
    assert looked_at == [
        "본인 확인",
        "인증 앱 설정",
        "복구 코드",
        "2단계 로그인",
        "복구 코드를 새로 만드시겠습니까?",
        "인증 앱을 끄시겠습니까?",
        "2단계 로그인",
    ]


def _checked(page: Page) -> str:
    """The heading of a page on which axe finds nothing."""
    assert complaints(page) == "", page.url
    return page.locator("h1").inner_text()
