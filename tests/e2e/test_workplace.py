"""A provider's day in a real browser: from an empty workspace and a document to an active product."""

import re
import threading

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect

from products.models import ApiService, Product, ProductService
from tests.documents import LEDGER
from tests.e2e.browser import Guard
from tests.e2e.conftest import Open
from tests.world import World

LOCAL = LEDGER.replace("http://ledger-upstream:8080/v1", "http://127.0.0.1:8081/v1")


def emptied(world: World) -> None:
    ProductService.objects.all().delete()
    Product.objects.all().delete()
    ApiService.objects.all().delete()


def imported(page: Page) -> None:
    page.goto(reverse("services:list"))
    page.get_by_role("main").get_by_role("link", name="Import OpenAPI").last.click()
    page.get_by_label("OpenAPI document").fill(LOCAL)
    page.get_by_role("button", name="Show what would happen").click()
    expect(page.get_by_role("heading", name="Create Ledger?")).to_be_visible()


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_from_an_empty_workspace_by_openapi_to_a_live_product(
    stage: World, client: Client, open_as: Open, agents_at_work: threading.Event, size: str
) -> None:
    emptied(stage)
    page = open_as(client, size=size)
    imported(page)
    expect(page.locator("#upstream-check")).to_contain_text("Its address is allowed.")
    page.get_by_role("button", name="Create the API service").click()
    expect(page.locator(".toast")).to_contain_text("The API service was created from the document")
    page.get_by_role("link", name="Make a product of it").click()
    page.get_by_label("Name").fill("Ledger API")
    page.get_by_label("Version").fill("1.0")
    page.get_by_role("button", name="Create the product").click()
    expect(page.locator("#services")).to_contain_text("Ledger")

    page.get_by_role("button", name="Activate").click()
    expect(page.get_by_role("dialog")).to_contain_text("Linked API services: 1")
    page.get_by_role("dialog").get_by_role("button", name="Activate").click()
    expect(page.locator(".toast")).to_contain_text("The product is active")

    page.get_by_role("link", name="New publish").click()
    page.get_by_role("radio", name=re.compile(stage.cluster.name)).check()
    page.get_by_role("button", name="Next step").click()
    page.get_by_role("radio", name=re.compile(stage.gateway.name)).check()
    page.get_by_role("button", name="Next step").click()
    page.get_by_role("button", name="Next step").click()
    expect(page.locator("#checks")).to_be_visible()
    page.get_by_role("button", name="Create the publish").click()
    page.get_by_role("button", name="Publish now").click()
    page.get_by_role("dialog").get_by_role("button", name="Publish now").click()
    expect(page.locator("#live")).to_contain_text("PUBLISHED")

    page.goto(reverse("services:detail", args=[ApiService.objects.get().pk]))
    expect(page.locator("#carriers")).to_contain_text("as it is now")


def test_a_services_form_by_keyboard_with_rows_that_come_and_go(
    stage: World, client: Client, open_as: Open, guard: Guard
) -> None:
    guard.may_refuse = True
    page = open_as(client)
    page.goto(reverse("services:create"))
    page.get_by_label("Name").fill("Ledger")
    page.get_by_label("Upstream URL").fill("http://ledger:8080")
    page.locator("#id_routes-0-path").fill("/first")
    page.get_by_role("button", name="Add a route").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#id_routes-1-path")).to_be_focused()
    page.keyboard.type("/second")
    expect(page.locator("#id_routes-0-path")).to_have_value("/first")
    page.get_by_role("group", name="Route 2").get_by_role("checkbox", name="GET").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Move route 2 up").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#id_routes-0-path")).to_have_value("/second")
    expect(
        page.get_by_role("button", name="Move route 1 down")
    ).to_be_focused()  # the moved row's: it is the first now
    expect(page.get_by_role("group", name="Route 1").get_by_role("checkbox", name="GET")).to_be_checked()
    page.locator("#id_routes-1-path").fill("first")
    page.keyboard.press("Enter")
    expect(page.locator("#id_routes-1-path")).to_be_focused()  # what is wrong
    page.keyboard.press("Control+a")
    page.keyboard.type("/first")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("The API service was created")
    assert list(ApiService.objects.get(name="Ledger").routes.values_list("path", "methods")) == [
        ("/second", ["GET"]),
        ("/first", []),
    ]


def test_a_row_moves_two_places_by_enter_enter_and_removing_all_ends_at_the_button_that_adds(
    stage: World, client: Client, open_as: Open
) -> None:
    page = open_as(client)
    page.goto(reverse("services:edit", args=[ApiService.objects.get(name="Billing Service").pk]))
    for number, path in enumerate(("/b", "/c"), start=1):
        page.get_by_role("button", name="Add a route").click()
        page.locator(f"#id_routes-{number}-path").fill(path)
    page.get_by_role("button", name="Move route 3 up").focus()
    for place, button in ((1, "Move route 2 up"), (0, "Move route 1 down")):
        page.keyboard.press("Enter")
        expect(page.locator(f"#id_routes-{place}-path")).to_have_value("/c")
        expect(page.get_by_role("button", name=button)).to_be_focused()
    page.get_by_role("button", name="Remove route 3").focus()
    for next_button in ("Remove route 2", "Remove route 1", "Add a route"):
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name=next_button)).to_be_focused()


def test_services_are_linked_in_a_dialog_with_search(stage: World, client: Client, open_as: Open) -> None:
    page = open_as(client)
    page.goto(reverse("products:detail", args=[stage.product.pk]))
    page.get_by_role("button", name="Link API services").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("checkbox")).to_have_count(3)
    expect(dialog.get_by_label("Search API services")).to_be_focused()
    dialog.get_by_label("Search API services").fill("refund")
    expect(dialog.get_by_role("checkbox")).to_have_count(1)
    dialog.get_by_role("checkbox").uncheck()
    dialog.get_by_label("Search API services").fill("")
    expect(dialog.get_by_role("checkbox", checked=True)).to_have_count(2)
    dialog.get_by_role("button", name="Save").click()
    expect(page.locator(".toast")).to_contain_text("The linked API services were changed")
    assert set(stage.product.services.values_list("name", flat=True)) == {
        "Billing Service",
        "Invoice Service",
    }


def test_a_refusal_is_said_inside_its_dialog_and_the_dialog_stays(
    stage: World, client: Client, open_as: Open, guard: Guard
) -> None:
    stage.published()
    guard.may_refuse = True
    page = open_as(client)
    page.goto(reverse("products:detail", args=[stage.product.pk]))
    page.get_by_role("button", name="Deactivate").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Deactivate").click()
    expect(dialog.get_by_role("alert")).to_contain_text(
        "It is still deployed: Payment API v2.0 · Development"
    )
    expect(dialog.get_by_role("button", name="Deactivate")).to_be_enabled()
    expect(dialog.get_by_role("button", name="Deactivate")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Deactivate").click()
    expect(dialog.get_by_role("button", name="Deactivate")).to_be_visible()
    expect(dialog.get_by_role("alert")).to_have_count(0)


def test_search_narrows_while_typing_and_stays_in_the_url(
    stage: World, client: Client, open_as: Open
) -> None:
    page = open_as(client)
    page.goto(reverse("services:list"))
    page.get_by_label("Search API services").press_sequentially("refund")
    expect(page.locator("#list li a", has_text="Service")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?q=refund$"))
    expect(page.get_by_label("Search API services")).to_be_focused()
    page.reload()
    expect(page.locator("#list")).to_contain_text("Refund Service")


def test_everything_works_without_script(stage: World, client: Client, open_as: Open) -> None:
    emptied(stage)
    page = open_as(client, size="phone", script=False)
    imported(page)
    page.get_by_role("button", name="Create the API service").click()
    page.get_by_role("link", name="Edit").click()
    page.get_by_role("button", name="Add a route").click()
    page.locator("#id_routes-2-path").fill("/more")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#routes")).to_contain_text("/more/*")
    page.goto(reverse("products:create"))
    page.get_by_label("Name").fill("Ledger API")
    page.get_by_label("Version").fill("1.0")
    page.get_by_role("button", name="Create the product").click()
    page.get_by_role("link", name="Link API services").click()
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Activate").click()
    page.get_by_role("button", name="Activate").click()
    expect(page.get_by_role("link", name="New publish")).to_be_visible()


def test_nothing_scrolls_sideways_on_a_phone(stage: World, client: Client, open_as: Open) -> None:
    service = ApiService.objects.get(name="Billing Service")
    page = open_as(client, size="phone")
    lists = [
        reverse(f"{name}:{page}")
        for name in ("products", "services", "gateways")
        for page in ("list", "create")
    ]
    details = [
        reverse("gateways:edit", args=[stage.gateway.pk]),
        *(reverse(f"services:{name}", args=[service.pk]) for name in ("detail", "edit", "reimport")),
    ]
    for path in [*lists, *details, reverse("products:link", args=[stage.product.pk])]:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
