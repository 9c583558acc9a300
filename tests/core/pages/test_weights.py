"""The sizes of pages, within DESIGN's numbers for HTML, CSS and script."""

import gzip
from pathlib import Path

import pytest
from django.urls import reverse

from products.models import Product, Route
from publishes.models import PublishEvent
from tests.pages import signed_in, url
from tests.world import World, add_service

STATIC = Path(__file__).resolve().parents[3] / "static"


def test_all_css_together_is_at_most_15_kb_gzipped() -> None:
    assert len(gzip.compress(b"".join(path.read_bytes() for path in sorted(STATIC.rglob("*.css"))))) <= 15_000


def test_our_own_script_is_tiny() -> None:
    assert len(gzip.compress(b"".join(path.read_bytes() for path in sorted(STATIC.rglob("*.js"))))) <= 5_000


@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_page_of_25_rows_is_at_most_25_kb(world: World, language: str) -> None:
    for number in range(30):
        Product.objects.create(
            tenant=world.tenant,
            name=f"Product {number:02}",
            version="1.0",
            description="What it is for, in one line of words.",
        )
    page = signed_in(world.user).get(reverse("products:list"), headers={"Accept-Language": language})
    assert page.content.decode().count('class="product-card"') == 25
    assert len(page.content) <= 25 * 1024


def test_a_board_of_25_publishes_is_at_most_25_kb(world: World) -> None:
    for number in range(25):
        world.draft(
            hostname_base=f"payment-api-{number}.dev.kr-seoul.localhost",
            environment=("dev", "stage", "prod")[number % 3],
        )
    page = signed_in(world.user).get(reverse("products:detail", args=[world.product.pk]))
    assert page.content.decode().count('class="place"') == 25
    assert len(page.content) <= 25 * 1024


@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_publish_with_a_long_history_is_at_most_25_kb(world: World, language: str) -> None:
    publish = world.published()
    PublishEvent.objects.bulk_create(
        PublishEvent(publish=publish, kind="updated", actor_label="acme-owner") for _ in range(30)
    )
    add_service(world.product, "Another", "/another", ["GET"])
    assert (
        len(signed_in(world.user).get(url("detail", publish), headers={"Accept-Language": language}).content)
        <= 25 * 1024
    )


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_form_of_50_routes_is_at_most_100_kb(world: World, language: str) -> None:
    service = world.product.services.get(name="Billing Service")
    Route.objects.bulk_create(
        Route(service=service, path=f"/billing/{n:02}/invoices", methods=["GET", "POST"], position=n)
        for n in range(49)
    )
    page = signed_in(world.user).get(
        reverse("services:edit", args=[service.pk]), headers={"Accept-Language": language}
    )
    assert page.content.decode().count('class="form-row"') == 50
    assert len(page.content) <= 100_000


def test_the_status_fragment_is_small(world: World) -> None:
    assert len(signed_in(world.user).get(url("live", world.published())).content) <= 8_000
