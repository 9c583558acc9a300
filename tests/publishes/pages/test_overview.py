"""배포: what the page across products shows, its filters and pages, its live part, and what it costs."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from products.models import Product
from publishes.reading.lists import overview
from publishes.reading.lists.listing import Filters
from publishes.verbs import drafts, publishing
from tenants.actors import Role
from tests.pages import SCRIPT, SESSION_AND_USER, html_of, member, signed_in, text_of, url
from tests.world import World, nobody_knows

PAGE, BOARD = reverse("overview:list"), reverse("overview:board")


def add_product(world: World, name: str) -> Product:
    product = Product.objects.create(
        tenant=world.tenant, name=name, version="1.0", status=Product.Status.ACTIVE
    )
    for link in world.product.links.all():
        product.links.create(tenant=world.tenant, service=link.service)
    return product


def version_in(page: str) -> str:
    return page.partition("seen=")[2].partition('"')[0]


def test_an_empty_workspace_is_led_to_its_products_by_steps_or_in_one(world: World, browser: Client) -> None:
    assert "Four steps to your first publish" in text_of(browser.get(PAGE))
    looker = text_of(signed_in(member(world.tenant, Role.VIEWER)).get(PAGE))
    assert "Nothing is published yet" in looker
    assert "DEV" not in looker
    assert "Four steps" not in looker


def test_products_stand_by_environment_with_what_needs_a_look(
    world: World, browser: Client, other: World
) -> None:
    other.published()
    world.published(environment="prod", hostname_base="a.localhost")
    in_progress = world.draft(hostname_base="b.localhost")
    publishing.request_publish(world.actor, in_progress.pk)
    shown = overview.overview_of(world.actor, Filters())
    (row,) = shown.rows
    assert row.product == world.product
    assert [[publish.hostname_base for publish in cell.publishes] for cell in row.cells] == [
        ["b.localhost"],
        [],
        ["a.localhost"],
    ]
    page = browser.get(PAGE)
    assert "1 In progress" in text_of(page)
    assert "DRAFT Publishing" in text_of(page)
    assert "every 2s" in html_of(page)
    world.everybody_confirms()
    assert "every 10s" in html_of(browser.get(PAGE))


def test_filters_come_from_the_url_and_stay_in_links(world: World, browser: Client) -> None:
    world.published(environment="prod", hostname_base="a.localhost")
    ledger = add_product(world, "Ledger API")
    drafts.create_publish(world.actor, ledger, settings=world.settings(hostname_base="b.localhost"))
    page = browser.get(PAGE, {"text": "ledger", "environment": "dev"})
    assert "1 product matches." in text_of(page)
    assert "Ledger API v1.0" in text_of(page)
    assert str(world.product.pk) not in html_of(page)
    assert 'value="dev" selected' in html_of(page)
    assert "?text=ledger&amp;environment=dev&amp;condition=failed" in html_of(page)
    nothing = browser.get(PAGE, {"condition": "failed", "environment": "dev"})
    assert "Nothing matches these filters" in text_of(nothing)
    assert f'href="{PAGE}?environment=dev" aria-current="true"' in html_of(nothing)
    assert browser.get(PAGE, {"environment": "moon", "page": "x", "cluster": "%"}).status_code == 200


def test_a_cell_shows_three_and_leads_to_the_rest(world: World, browser: Client) -> None:
    for number in range(5):
        world.draft(hostname_base=f"n{number}.localhost")
    (row,) = overview.overview_of(world.actor, Filters()).rows
    assert [publish.hostname_base for publish in row.cells[0].publishes] == [
        "n4.localhost",
        "n3.localhost",
        "n2.localhost",
    ]
    assert row.cells[0].has_more
    assert f"?product={world.product.pk}&amp;environment=dev" in html_of(browser.get(PAGE))
    (row,) = overview.overview_of(world.actor, Filters(product=world.product.pk)).rows
    assert len(row.cells[0].publishes) == 5
    assert not row.cells[0].has_more


def test_25_products_are_a_page_and_pages_keep_the_filters(world: World, browser: Client) -> None:
    for number in range(26):
        drafts.create_publish(
            world.actor,
            add_product(world, f"P{number:02}"),
            settings=world.settings(hostname_base=f"p{number}.localhost"),
        )
    first = browser.get(PAGE, {"environment": "dev"})
    assert html_of(first).count('scope="row"') == 25
    assert "?environment=dev&amp;page=2" in html_of(first)
    second = browser.get(PAGE, {"environment": "dev", "page": "2"})
    assert html_of(second).count('scope="row"') == 1
    assert "environment=dev&amp;page=2&amp;seen=" in html_of(second)


def test_the_live_part_is_204_until_something_changes(world: World, browser: Client) -> None:
    publish = world.draft()
    version = version_in(html_of(browser.get(PAGE)))
    assert browser.get(BOARD, {"seen": version}, headers=SCRIPT).status_code == 204
    publishing.request_publish(world.actor, publish.pk)
    changed = browser.get(BOARD, {"seen": version}, headers=SCRIPT)
    assert changed.status_code == 200
    assert html_of(changed).strip().startswith('<div id="overview"')
    assert version_in(html_of(changed)) != version
    assert browser.get(BOARD, {"environment": "dev"}).headers["Location"] == f"{PAGE}?environment=dev"


def test_what_happened_lately_names_product_and_place_and_nobody_elses(
    world: World, other: World, browser: Client
) -> None:
    other.published()
    world.published()
    page = text_of(browser.get(PAGE))
    assert "Published Payment API v2.0 → acme-kr · dev" in page
    assert "globex" not in page
    assert len(overview.overview_of(world.actor, Filters()).events) == 3


def test_a_publish_by_its_id_alone_leads_to_its_page_and_another_tenants_to_nothing(
    world: World, other: World, browser: Client
) -> None:
    publish, foreign = world.draft(), other.draft()
    assert browser.get(reverse("overview:publish", args=[publish.pk])).headers["Location"] == url(
        "detail", publish
    )
    assert browser.get(reverse("overview:publish", args=[foreign.pk])).status_code == 404


def test_billing_and_strangers_see_no_overview(world: World) -> None:
    assert signed_in(member(world.tenant, Role.BILLING)).get(PAGE).status_code == 403
    assert Client().get(PAGE).headers["Location"].startswith("/sign-in?next=")


def test_another_tenants_ids_filter_everything_away(world: World, other: World, browser: Client) -> None:
    foreign = other.published()
    for name, value in (
        ("product", foreign.product_id),
        ("cluster", foreign.cluster_id),
        ("gateway", foreign.gateway_id),
        ("product", nobody_knows()),
    ):
        assert "Nothing matches" in text_of(browser.get(PAGE, {name: str(value)}))


@pytest.mark.parametrize("rows", [1, 50])
def test_six_queries_whatever_there_is(
    world: World, browser: Client, rows: int, django_assert_num_queries: Any
) -> None:
    for number in range(rows):
        product = add_product(world, f"P{number:02}")
        drafts.create_publish(
            world.actor, product, settings=world.settings(hostname_base=f"p{number}.localhost")
        )
        world.draft(hostname_base=f"q{number}.localhost")
    publishing.request_publish(world.actor, world.draft(hostname_base="r.localhost").pk)
    for path, budget in {PAGE: 6, f"{PAGE}?text=p&status=DRAFT": 6, BOARD: 5}.items():
        with django_assert_num_queries(SESSION_AND_USER + budget, info=path):
            assert browser.get(path, headers=SCRIPT).status_code == 200


@pytest.mark.parametrize("language", ["ko", "en"])
def test_25_products_in_three_environments_are_at_most_25_kb(world: World, language: str) -> None:
    for number in range(25):
        product = add_product(world, f"Product {number:02}")
        for environment in ("dev", "stage", "prod"):
            settings = world.settings(
                hostname_base=f"p{number}.{environment}.localhost", environment=environment
            )
            drafts.create_publish(world.actor, product, settings=settings)
    page = signed_in(world.user).get(PAGE, headers={"Accept-Language": language})
    assert html_of(page).count("DRAFT</i>") == 75
    assert len(page.content) <= 25_000
