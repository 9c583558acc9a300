"""Pages of gateways: listeners in rows, what publishes hold in place, who uses it, guarded deletion."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import escape
from pytest_django import DjangoAssertNumQueries

from clusters.models import Cluster
from gateways.models import Gateway, GatewayCluster, Listener
from tenants.actors import Role
from tests.pages import SCRIPT, html_of, member, signed_in
from tests.world import World, nobody_knows


def at(name: str, gateway: Gateway) -> str:
    return reverse(f"gateways:{name}", args=[gateway.pk])


def text(client: Client, url: str) -> str:
    return html_of(client.get(url))


def filled(world: World, *listeners: dict[str, str], **changes: Any) -> dict[str, Any]:
    """The form as a browser sends it."""
    base = {"name": "edge", "gateway_class": "envoy", "status": "active", "clusters": [str(world.cluster.pk)]}
    data: dict[str, Any] = (
        base | {"listeners-TOTAL_FORMS": str(len(listeners)), "listeners-INITIAL_FORMS": "0"} | changes
    )
    for number, listener in enumerate(listeners):
        data |= {f"listeners-{number}-{name}": value for name, value in listener.items()}
    return data


HTTP, HTTPS, BLANK = (
    {"port": "80", "protocol": "HTTP"},
    {"port": "443", "protocol": "HTTPS"},
    {"port": "", "protocol": "HTTP"},
)


def test_a_gateway_is_made_by_one_form_and_listed_with_its_ports(world: World, browser: Client) -> None:
    answer = browser.post(reverse("gateways:create"), filled(world, HTTP, HTTPS, BLANK))
    gateway = Gateway.objects.get(name="edge")
    assert answer.headers["Location"] == at("detail", gateway)
    assert "80/HTTP, 443/HTTPS" in text(browser, reverse("gateways:list"))
    assert "No publish uses this gateway" in text(browser, at("detail", gateway))


def test_listeners_are_added_and_removed_without_script(world: World, browser: Client) -> None:
    page = html_of(
        browser.post(reverse("gateways:create"), filled(world, HTTP, HTTPS, row="remove-0", name="half a na"))
    )
    assert page.count('class="form-row"') == 1
    assert re.search(r'value="remove-0"[^>]* autofocus', page)
    assert 'value="443"' in page
    assert '<option value="HTTPS" selected' in page
    assert 'value="half a na"' in page
    assert f'value="{world.cluster.pk}" checked' in page
    more = html_of(browser.post(reverse("gateways:create"), filled(world, HTTP, row="add")))
    assert more.count('class="form-row"') == 2
    assert not Gateway.objects.filter(name="edge").exists()


def test_the_same_port_twice_is_refused_at_its_row(world: World, browser: Client) -> None:
    answer = browser.post(
        reverse("gateways:create"), filled(world, HTTP, {"port": "80", "protocol": "HTTPS"})
    )
    assert answer.status_code == 422
    assert "Another listener has this port" in html_of(answer)
    nothing = browser.post(reverse("gateways:create"), filled(world, BLANK, clusters=[]))
    assert "A gateway has at least one listener" in html_of(nothing)
    assert "Choose at least one cluster" in html_of(nothing)


def test_what_publishes_hold_in_place_cannot_be_changed(world: World, browser: Client) -> None:
    far = Cluster.objects.create(
        name="kr-far", region="kr-busan", host_suffixes=["localhost"], open_to_all=True
    )
    world.draft()
    page = text(browser, at("edit", world.gateway))
    assert "It stays while publishes use this gateway" in page
    assert f'<input type="hidden" name="clusters" value="{world.cluster.pk}">' in page
    answer = browser.post(
        at("edit", world.gateway), filled(world, HTTP, gateway_class="kong", clusters=[str(far.pk)])
    )
    assert answer.status_code == 422
    assert "The class cannot change while publishes use this gateway" in html_of(answer)
    assert escape("Publishes of this gateway use, or used, a cluster that you remove") in html_of(answer)
    moved = filled(
        world, HTTP, name="renamed", clusters=[str(world.cluster.pk), str(far.pk)], status="inactive"
    )
    assert browser.post(at("edit", world.gateway), moved).status_code == 302
    world.gateway.refresh_from_db()
    assert (world.gateway.name, world.gateway.status, world.gateway.clusters.count()) == (
        "renamed",
        "inactive",
        2,
    )


def test_a76_the_detail_lists_the_publishes_that_use_it(world: World, browser: Client) -> None:
    publish = world.published()
    page = text(browser, at("detail", world.gateway))
    row = page.split("<tbody>")[1].split("</tr>")[0]
    assert reverse("publishes:detail", args=[publish.product_id, publish.pk]) in row
    assert "Payment API<small>v2.0</small>" in row
    assert "acme-kr" in row
    assert "PUBLISHED" in row


def test_a77_a_refused_deletion_names_the_publishes(world: World, browser: Client) -> None:
    world.draft()
    refused = browser.post(at("delete", world.gateway), headers=SCRIPT)
    assert refused.status_code == 409
    assert "Payment API v2.0 · Development" in html_of(refused)
    unused = Gateway.objects.create(tenant=world.tenant, name="unused")
    assert "Delete this gateway?" in text(browser, at("delete", unused))
    assert browser.post(at("delete", unused)).headers["Location"] == reverse("gateways:list")
    assert list(Gateway.objects.all()) == [world.gateway]


def test_a_change_that_somebody_else_was_faster_with_is_409(world: World, browser: Client) -> None:
    revision = world.gateway.revision
    browser.post(at("edit", world.gateway), filled(world, HTTP, name="theirs"))
    answer = browser.post(at("edit", world.gateway), filled(world, HTTP, name="mine", revision=revision))
    assert answer.status_code == 409
    assert Gateway.objects.get(pk=world.gateway.pk).name == "theirs"


@pytest.mark.parametrize("name", ["detail", "edit", "delete"])
def test_a24_another_tenants_gateway_pages_are_not_there_and_a_viewer_only_looks(
    world: World, other: World, name: str
) -> None:
    stranger, viewer = signed_in(other.user), signed_in(member(world.tenant, Role.VIEWER))
    for ask in (stranger.get, stranger.post) if name != "detail" else (stranger.get,):
        assert ask(at(name, world.gateway)).status_code == 404
        assert ask(reverse(f"gateways:{name}", args=[nobody_knows()])).status_code == 404
    assert viewer.get(at(name, world.gateway)).status_code == (200 if name == "detail" else 403)
    if name != "detail":
        assert viewer.post(at(name, world.gateway)).status_code == 403
    assert viewer.get(reverse("gateways:create")).status_code == 403
    assert str(world.gateway.pk) not in text(stranger, reverse("gateways:list"))


@pytest.mark.parametrize("rows", [1, 50])
def test_queries_and_weight_stay_the_same_however_many_rows(
    world: World, django_assert_max_num_queries: DjangoAssertNumQueries, rows: int
) -> None:
    for number in range(rows):
        gateway = Gateway.objects.create(tenant=world.tenant, name=f"gateway-{number:02}")
        Listener.objects.create(gateway=gateway, name="http-80", port=80)
        GatewayCluster.objects.create(gateway=gateway, cluster=world.cluster)
        world.draft(hostname_base=f"payment-api-{number}.dev.kr-seoul.localhost")
    browser = signed_in(world.user)
    own = 3  # the session, the person, the membership
    with django_assert_max_num_queries(6 + own):
        page = browser.get(reverse("gateways:list"))
    assert len(page.content) <= 25_000
    with django_assert_max_num_queries(8 + own):
        page = browser.get(at("detail", world.gateway))
    assert len(page.content) <= 25_000
    with django_assert_max_num_queries(5 + own):
        browser.get(at("edit", world.gateway))
