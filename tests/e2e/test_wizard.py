"""The wizard in a real browser: by keyboard, without script, in two tabs of a session, by two clicks."""

import re

from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, Route, expect

from products.models import Product, ProductService
from publishes.models import ProductPublish
from tests.e2e.browser import Guard
from tests.e2e.conftest import Open
from tests.e2e.test_journey import tab_to
from tests.places import cluster, gateway
from tests.publishes.pages.run import Run
from tests.world import World


def entry(product: Product) -> str:
    return reverse("publishes:create", args=[product.pk])


def other_product(world: World) -> Product:
    product = Product.objects.create(
        tenant=world.tenant, name="Ledger API", version="1.0", status=Product.Status.ACTIVE
    )
    ProductService.objects.create(
        tenant=world.tenant, product=product, service=world.product.services.all()[0]
    )
    return product


def choose(page: Page, world: World, product: Product) -> None:
    """Go to the settings of a product's wizard."""
    page.goto(entry(product))
    page.get_by_role("radio", name=re.compile(world.cluster.name)).check()
    page.get_by_role("button", name="Next step").click()
    page.get_by_role("radio", name=re.compile(world.gateway.name)).check()
    page.get_by_role("button", name="Next step").click()


def test_by_keyboard_alone_and_enter_goes_forward(stage: World, client: Client, open_as: Open) -> None:
    gateway(stage, "second", cluster("zzz"), stage.cluster)
    page = open_as(client)
    page.goto(entry(stage.product))
    expect(page.get_by_role("button", name="Next step")).to_be_disabled()
    tab_to(page, "[name=cluster-cluster]")
    page.keyboard.press("Enter")  # nothing chosen yet: the browser says so, and nothing is sent
    expect(page).to_have_url(re.compile("/publish/cluster$"))
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/publish/gateway$"))
    tab_to(page, "[name=gateway-gateway]")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/publish/settings$"))
    tab_to(page, "[name=settings-environment]")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("Hostname")).to_have_value("payment-api.prod.kr-seoul.localhost")
    tab_to(page, "[name=settings-hostname_base]")
    page.keyboard.press("Enter")
    expect(page.locator("#checks")).to_contain_text("3 of 3 are ready.")
    tab_to(page, "button.primary")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("The publish was created")
    assert ProductPublish.objects.get().environment == "prod"


def test_a_step_begins_at_its_heading_and_many_clusters_are_searched(
    stage: World, client: Client, open_as: Open
) -> None:
    for number in range(9):
        gateway(stage, f"gateway-{number}", cluster(f"place-{number}"))
    page = open_as(client)
    page.goto(entry(stage.product))
    expect(page.get_by_role("heading", name="Step 1 of 4: Cluster")).to_be_focused()
    expect(page).to_have_title(re.compile("^Cluster · Publish Payment API"))
    page.get_by_role("radio", name=re.compile("place-3")).check()
    page.get_by_label("Search clusters").fill("PLACE-7")
    expect(page.locator(".choice:visible")).to_have_count(
        2
    )  # and the chosen one, or something hidden would be sent
    page.get_by_label("Search clusters").press("Enter")
    page.get_by_role("radio", name=re.compile("place-7")).check()
    page.get_by_label("Search clusters").fill("")
    expect(page.locator(".choice:visible")).to_have_count(10)
    page.get_by_role("button", name="Next step").click()
    expect(page.get_by_role("heading", name="Step 2 of 4: Gateway")).to_be_focused()


def test_without_script(stage: World, client: Client, open_as: Open) -> None:
    page = open_as(client, script=False)
    choose(page, stage, stage.product)
    expect(page.get_by_label("Issuer URL")).to_be_hidden()
    page.get_by_role("radio", name=re.compile("OAuth")).check()
    expect(page.get_by_label("Issuer URL")).to_be_visible()
    page.get_by_role("radio", name=re.compile("^None")).check()
    page.get_by_role("radio", name=re.compile("Staging")).check()
    page.get_by_role("button", name="Next step").click()
    expect(page.locator("#choices")).to_contain_text("payment-api.stage.kr-seoul.localhost")
    page.get_by_role("link", name="Check now").click()
    expect(page.locator("#checks")).to_contain_text("3 of 3 are ready.")
    page.get_by_role("button", name="Create the publish").click()
    expect(page.locator("#live")).to_contain_text("DRAFT")


def test_two_products_in_two_tabs_of_one_session_do_not_mix(
    stage: World, client: Client, open_as: Open
) -> None:
    first, ledger = open_as(client), other_product(stage)
    second = first.context.new_page()
    choose(first, stage, stage.product)
    second.goto(entry(ledger))
    expect(second).to_have_url(re.compile("/publish/cluster$"))
    choose(second, stage, ledger)
    first.get_by_role("radio", name=re.compile("Production")).check()
    for page in (first, second):
        page.get_by_role("button", name="Next step").click()
        page.locator("#checks").wait_for()
    first.reload()
    first.locator("#checks").wait_for()  # they push the button down: a click in that moment hits nothing
    expect(first.locator("#choices")).to_contain_text("payment-api.prod.")
    expect(second.locator("#choices")).to_contain_text("ledger-api.dev.")
    for page in (first, second):
        page.get_by_role("button", name="Create the publish").click()
        page.locator("#live").wait_for()
    environments = {
        publish.product.name: publish.environment
        for publish in ProductPublish.objects.select_related("product")
    }
    assert environments == {"Payment API": "prod", "Ledger API": "dev"}


def test_two_fast_clicks_make_one_draft(stage: World, client: Client, open_as: Open) -> None:
    Run(stage, client).choose()
    page = open_as(client)
    page.goto(Run(stage, client).url("confirm"))
    page.locator("#checks").wait_for()
    page.get_by_role("button", name="Create the publish").dblclick()
    page.locator("#live").wait_for()
    assert ProductPublish.objects.count() == 1


def test_back_keeps_what_was_typed_and_a_refusal_says_what_to_do(
    stage: World, client: Client, open_as: Open, guard: Guard
) -> None:
    guard.may_refuse = True
    page = open_as(client)
    choose(page, stage, stage.product)
    page.get_by_label("Hostname").fill("shop.example.com")
    page.get_by_role("button", name="Previous").click()
    expect(page.get_by_role("radio", name=re.compile(stage.gateway.name))).to_be_checked()
    page.get_by_role("button", name="Next step").click()
    expect(page.get_by_label("Hostname")).to_have_value("shop.example.com")
    page.get_by_role("button", name="Next step").click()
    expect(page.locator(".error-text")).to_have_text(
        "In this cluster a hostname must end in one of: localhost."
    )
    page.get_by_role("button", name="Cancel").click()
    expect(page).to_have_url(re.compile(f"{stage.product.pk}$"))
    assert not ProductPublish.objects.exists()


def test_prechecks_that_cannot_be_loaded_leave_a_link_to_them(
    stage: World, client: Client, open_as: Open, guard: Guard
) -> None:
    guard.may_fail = True
    Run(stage, client).choose()
    page = open_as(client)
    page.route("**/confirm/checks", lambda route: route.abort())
    page.goto(Run(stage, client).url("confirm"))
    page.get_by_role("link", name="Check now").click()
    expect(page.locator("#checks")).to_contain_text("3 of 3 are ready.")


def test_a_hostname_that_is_typed_while_its_suggestion_is_on_the_way_stays(
    stage: World, client: Client, open_as: Open
) -> None:
    page = open_as(client)
    choose(page, stage, stage.product)
    waiting: list[Route] = []
    page.route("**/settings/hostname*", lambda route: waiting.append(route))  # noqa: PLW0108 - Playwright marks the function it is given
    with page.expect_request("**/settings/hostname*"):
        page.get_by_role("radio", name=re.compile("Production")).check()
    while not waiting:
        page.wait_for_timeout(20)
    (delayed,) = waiting
    page.get_by_label("Hostname").fill("mine.localhost")
    with page.expect_response("**/settings/hostname*"):
        delayed.continue_()
    page.wait_for_timeout(200)
    expect(page.get_by_label("Hostname")).to_have_value("mine.localhost")
