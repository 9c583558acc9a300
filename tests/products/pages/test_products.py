"""Pages of products: lists with tabs and search, forms, dialogs without script, permissions."""

import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import escape
from pytest_django import DjangoAssertNumQueries

from products.catalogue import products
from products.catalogue.products import ProductFields
from products.models import ApiService, Product
from tenants.actors import Role
from tests.pages import SCRIPT, html_of, member, signed_in
from tests.world import World, nobody_knows

NEW = {"name": "Weather API", "version": "v1.0", "categories": "weather, maps", "description": "Sun and rain"}
PAGES = ("detail", "edit", "link", "activate", "deactivate", "archive", "delete")


def at(name: str, world: World) -> str:
    return reverse(f"products:{name}", args=[world.product.pk])


def text(client: Client, url: str) -> str:
    return html_of(client.get(url))


def test_from_nothing_to_an_active_product_without_script(world: World, browser: Client) -> None:
    Product.objects.all().delete()
    assert "Make the first product" in text(browser, reverse("products:list"))
    answer = browser.post(reverse("products:create"), NEW)
    product = Product.objects.get()
    assert answer.headers["Location"] == reverse("products:detail", args=[product.pk])
    assert (product.version, product.categories, product.status) == ("1.0", ["weather", "maps"], "draft")
    page = text(browser, answer.headers["Location"])
    assert "A product needs at least one" in page
    refused = browser.post(reverse("products:activate", args=[product.pk]))
    assert refused.status_code == 409
    assert "Link at least one API service" in html_of(refused)
    service = ApiService.objects.get(name="Billing Service")
    link = reverse("products:link", args=[product.pk])
    assert "Billing Service" in text(browser, link)
    assert (
        browser.post(link, {"services": [str(service.pk)]}).headers["Location"] == answer.headers["Location"]
    )
    assert "Activate “Weather API v1.0”?" in text(browser, reverse("products:activate", args=[product.pk]))
    browser.post(reverse("products:activate", args=[product.pk]))
    assert 'id="new-publish"' in text(browser, answer.headers["Location"])


def test_a_product_is_made_with_the_service_that_a_link_named(
    world: World, other: World, browser: Client
) -> None:
    mine, theirs = world.product.services.all()[0], other.product.services.all()[0]
    url = reverse("products:create")
    page = text(browser, f"{url}?service={mine.pk}&service={theirs.pk}&service=nonsense")
    assert f'value="{mine.pk}"' in page
    assert f'value="{theirs.pk}"' not in page
    browser.post(url, NEW | {"service": [str(mine.pk), str(theirs.pk)]})
    assert list(Product.objects.get(name="Weather API").services.all()) == [mine]


def test_documentation_and_logo_are_linked_on_the_products_page(world: World, browser: Client) -> None:
    Product.objects.filter(pk=world.product.pk).update(
        docs_url="https://docs.example.com/", logo_url="https://cdn.example.com/logo.svg"
    )
    links = re.findall(
        r'<a href="(https://[^"]+)" rel="noopener noreferrer" target="_blank">',
        text(browser, at("detail", world)),
    )
    assert links == ["https://docs.example.com/", "https://cdn.example.com/logo.svg"]


def test_a_comma_too_many_names_no_category_and_what_is_wrong_is_said_in_the_readers_language(
    world: World, browser: Client
) -> None:
    too_many, long = ", ".join(f"c{n}" for n in range(11)), f"결제,{'x' * 51}"
    for typed, message in (
        (too_many, "카테고리는 10개까지 적을 수 있습니다."),
        (long, "카테고리 2: 이 값이 최대 50 개"),
    ):
        refused = browser.post(
            reverse("products:create"), NEW | {"categories": typed}, headers={"Accept-Language": "ko"}
        )
        assert (refused.status_code, message in html_of(refused)) == (422, True)
    browser.post(reverse("products:create"), NEW | {"categories": " 결제, ,금융,,결제,"})
    assert Product.objects.get(name="Weather API").categories == ["결제", "금융"]


@pytest.mark.parametrize("name", ["create", "edit"])
def test_a_form_that_was_sent_empty_is_not_right(world: World, browser: Client, name: str) -> None:
    url = reverse("products:create") if name == "create" else at(name, world)
    assert browser.post(url).status_code == 422


def test_a_form_that_is_not_right_is_422_and_keeps_what_was_typed(world: World, browser: Client) -> None:
    answer = browser.post(
        reverse("products:create"), {"name": "x", "version": "", "docs_url": "javascript:alert(1)"}
    )
    page = html_of(answer)
    assert answer.status_code == 422
    assert 'value="javascript:alert(1)"' in page
    assert page.count('class="error-text"') == 3
    assert Product.objects.filter(tenant=world.tenant).count() == 1


def test_a_change_that_somebody_else_was_faster_with_is_409_and_changes_nothing(
    world: World, browser: Client
) -> None:
    page = text(browser, at("edit", world))
    revision = page.split('name="revision" value="')[1].split('"')[0]
    products.update_product(world.actor, world.product.pk, fields=ProductFields(name="Theirs", version="3"))
    answer = browser.post(at("edit", world), NEW | {"revision": revision})
    assert answer.status_code == 409
    assert "Somebody else changed this" in html_of(answer)
    assert "Load it again" in html_of(answer)
    assert Product.objects.get(pk=world.product.pk).name == "Theirs"
    fresh = text(browser, at("edit", world)).split('name="revision" value="')[1].split('"')[0]
    assert browser.post(at("edit", world), NEW | {"revision": fresh}).status_code == 302


def test_a74_a_refused_deactivation_says_so_in_its_dialog(world: World, browser: Client) -> None:
    world.published()
    answer = browser.post(at("deactivate", world), headers=SCRIPT)
    assert answer.status_code == 409
    assert html_of(answer).lstrip().startswith('<form id="ask-deactivate"')
    assert escape("Payment API v2.0 · Development") in html_of(answer)
    page = browser.post(at("deactivate", world))
    assert page.status_code == 409
    assert "<h1>" in html_of(page)
    assert Product.objects.get(pk=world.product.pk).status == "active"


def test_a_done_verb_leads_on_with_a_toast(world: World, browser: Client) -> None:
    assert browser.post(at("deactivate", world), headers=SCRIPT).headers["HX-Redirect"] == at("detail", world)
    assert "The product is a draft again" in text(browser, at("detail", world))
    assert browser.post(at("delete", world)).headers["Location"] == reverse("products:list")
    assert not Product.objects.filter(pk=world.product.pk).exists()


def test_a_question_that_may_not_be_asked_now_leads_back(world: World, browser: Client) -> None:
    assert browser.get(at("activate", world)).headers["Location"] == at("detail", world)
    assert browser.post(at("delete", world)).headers["Location"] == at("detail", world)
    assert "Only a draft can be deleted" in text(browser, at("detail", world))


def test_an_archived_product_offers_nothing(world: World, browser: Client) -> None:
    browser.post(at("archive", world))
    page = text(browser, at("detail", world))
    assert "Archived" in page
    for name in ("edit", "link", "archive", "deactivate", "delete"):
        assert at(name, world) not in page
    assert browser.get(at("edit", world)).status_code == 409


def test_a84_linking_warns_on_an_active_product_alone(world: World, browser: Client) -> None:
    warning = "What is deployed stays as it is until it is published again"
    assert warning in text(browser, at("link", world))
    browser.post(at("deactivate", world))
    assert warning not in text(browser, at("link", world))


def test_a_refused_link_keeps_the_ticks(world: World, browser: Client) -> None:
    answer = browser.post(at("link", world), {"services": []}, headers=SCRIPT)
    assert answer.status_code == 409
    assert "An active product needs at least one API service" in html_of(answer)
    assert html_of(answer).count(" checked") == 0
    assert world.product.services.count() == 3


def test_tabs_and_search_narrow_the_list_and_stay_in_its_links(world: World, browser: Client) -> None:
    for number in range(30):
        Product.objects.create(
            tenant=world.tenant, name=f"Draft {number:02}", version="1", description="Maps & more"
        )
    url = reverse("products:list")
    page = text(browser, url)
    assert page.count('class="product-card"') == 25
    assert 'All<span class="count">31</span>' in page
    drafts = text(browser, f"{url}?status=draft&q=draft")
    assert 'href="?q=draft&amp;status=draft&amp;page=2"' in drafts
    assert "Payment API" not in drafts
    assert text(browser, f"{url}?q=MAPS+%26").count('class="product-card"') == 25
    assert "Nothing was found" in text(browser, f"{url}?q=nothing+of+the+kind")
    assert text(browser, f"{url}?status=bogus&page=99&q=%00").count('class="product-card"') == 6


@pytest.mark.parametrize("name", PAGES)
def test_a24_another_tenants_product_pages_are_not_there(world: World, other: World, name: str) -> None:
    stranger = signed_in(other.user)
    before = Product.objects.filter(pk=world.product.pk).values().get()
    for ask in (stranger.get, stranger.post) if name != "detail" else (stranger.get,):
        assert ask(at(name, world)).status_code == 404
        assert ask(reverse(f"products:{name}", args=[nobody_knows()])).status_code == 404
    assert Product.objects.filter(pk=world.product.pk).values().get() == before


@pytest.mark.parametrize("name", PAGES)
def test_a_viewer_looks_and_billing_does_not(world: World, name: str) -> None:
    viewer, billing = (
        signed_in(member(world.tenant, Role.VIEWER)),
        signed_in(member(world.tenant, Role.BILLING)),
    )
    assert billing.get(at(name, world)).status_code == 403
    assert viewer.get(at(name, world)).status_code == (200 if name == "detail" else 403)
    if name != "detail":
        assert viewer.post(at(name, world)).status_code == 403
    page = text(viewer, at("detail", world))
    assert at("edit", world) not in page
    assert "<dialog" not in page
    assert viewer.get(reverse("products:create")).status_code == 403
    assert reverse("products:create") not in text(viewer, reverse("products:list"))


@pytest.mark.parametrize("rows", [1, 50])
def test_queries_stay_the_same_however_many_rows(
    world: World, django_assert_max_num_queries: DjangoAssertNumQueries, rows: int
) -> None:
    for number in range(rows):
        product = Product.objects.create(tenant=world.tenant, name=f"Product {number:02}", version="1")
        service = ApiService.objects.create(
            tenant=world.tenant, name=f"Service {number:02}", upstream_host="x"
        )
        product.links.create(tenant=world.tenant, service=service)
        world.product.links.create(tenant=world.tenant, service=service)
    browser = signed_in(world.user)
    own = 3  # the session, the person, the membership
    with django_assert_max_num_queries(6 + own):
        browser.get(reverse("products:list"))
    with django_assert_max_num_queries(8 + own):
        browser.get(at("detail", world))
    with django_assert_max_num_queries(4 + own):
        browser.get(at("link", world))
