"""Pages of API services: one form with rows that works without script, live versions, guarded deletion."""

import re
import socket
from contextlib import ExitStack
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from products.catalogue import api_services, products
from products.forms import MAX_ROUTES, checked_service
from products.models import METHODS, ApiService, Product
from tenants.actors import Role
from tests.pages import SCRIPT, html_of, member, signed_in
from tests.world import World, nobody_knows

PAGES = ("detail", "edit", "delete", "reimport")


def billing(world: World) -> ApiService:
    return ApiService.objects.get(tenant=world.tenant, name="Billing Service")


def at(name: str, service: ApiService) -> str:
    return reverse(f"services:{name}", args=[service.pk])


def text(client: Client, url: str) -> str:
    return html_of(client.get(url))


def filled(*routes: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The form as a browser sends it."""
    base = {
        "name": "Ledger",
        "status": "active",
        "upstream_url": "http://ledger:8080",
        "connect_timeout_ms": "5000",
        "timeout_ms": "60000",
    }
    data: dict[str, Any] = (
        base | {"routes-TOTAL_FORMS": str(len(routes)), "routes-INITIAL_FORMS": "0"} | changes
    )
    for number, route in enumerate(routes):
        data |= {f"routes-{number}-{name}": value for name, value in route.items()}
    return data


def paths_in(page: str) -> list[str]:
    return re.findall(r'name="routes-\d+-path"[^>]* value="([^"]*)"', page)


def focused_in(page: str) -> list[str]:
    """The focused element of the page or fragment: a field by its name, a button by its value."""
    tags = re.findall(r"<(?:input|button)[^>]* autofocus[^>]*>", page)
    return [re.findall(r'(?:value|name)="((?:up|down|remove|add|routes)\b[^"]*)"', tag)[0] for tag in tags]


def test_the_last_row_that_goes_leaves_the_focus_to_the_button_that_adds_one(
    world: World, browser: Client
) -> None:
    url = reverse("services:create")
    assert focused_in(html_of(browser.post(url, filled({"path": "/a"}, row="remove-0")))) == ["add"]
    full = html_of(
        browser.post(url, filled(*({"path": f"/r{number}"} for number in range(MAX_ROUTES)), row="add"))
    )
    assert (len(paths_in(full)), focused_in(full)) == (MAX_ROUTES, ["add"])


def test_a_service_is_made_with_its_routes_by_one_form(world: World, browser: Client) -> None:
    routes = (
        {"path": "/ledger", "methods": ["POST", "GET"], "is_active": "on"},
        {"path": "/old", "strip_path": "on"},
        {"path": "", "is_active": "on"},
    )
    answer = browser.post(reverse("services:create"), filled(*routes))
    service = ApiService.objects.get(name="Ledger")
    assert answer.headers["Location"] == at("detail", service)
    assert [(r.path, r.methods, r.strip_path, r.status) for r in service.routes.all()] == [
        ("/ledger", ["GET", "POST"], False, "active"),
        ("/old", [], True, "inactive"),
    ]
    page = text(browser, answer.headers["Location"])
    assert "The API service was created" in page
    assert "No product has this service" in page
    assert f"{reverse('products:create')}?service={service.pk}" in page


def test_rows_are_added_moved_and_removed_without_script_and_nothing_is_saved(
    world: World, browser: Client
) -> None:
    routes = (
        {"path": "/a", "methods": ["GET"], "is_active": "on"},
        {"path": "not yet right"},
        {"path": "/c"},
    )
    url = reverse("services:create")
    for action, expected, focused in (
        ("add", ["/a", "not yet right", "/c", ""], ["routes-3-path"]),
        ("remove-1", ["/a", "/c"], ["remove-1"]),
        ("remove-2", ["/a", "not yet right"], ["remove-1"]),
        ("up-2", ["/a", "/c", "not yet right"], ["up-1"]),
        ("up-1", ["not yet right", "/a", "/c"], ["down-0"]),
        ("down-0", ["not yet right", "/a", "/c"], ["down-1"]),
        ("down-1", ["/a", "/c", "not yet right"], ["up-2"]),
        ("up-0", ["/a", "not yet right", "/c"], []),
        ("remove-9", ["/a", "not yet right", "/c"], []),
        ("nonsense", ["/a", "not yet right", "/c"], []),
    ):
        answer = browser.post(url, filled(*routes, name="Half a na", row=action))
        page = html_of(answer)
        assert answer.status_code == 200
        assert paths_in(page) == expected
        assert focused_in(page) == focused
        assert 'value="Half a na"' in page
        assert "error-text" not in page
    assert not ApiService.objects.filter(name="Half a na").exists()


def test_a_moved_row_takes_everything_with_it(world: World, browser: Client) -> None:
    service = billing(world)
    (route,) = service.routes.all()
    rows = (
        {"path": "/new", "is_active": "on"},
        {"id": str(route.pk), "path": "/billing", "methods": ["GET"], "strip_path": "on"},
    )
    page = html_of(browser.post(at("edit", service), filled(*rows, name="Billing Service", row="up-1")))
    first = page.split('<fieldset class="form-row">')[1]
    assert f'value="{route.pk}"' in first
    assert re.search(r'name="routes-0-methods" value="GET"[^>]* checked', first)
    assert re.search(r'name="routes-0-strip_path"[^>]* checked', first)
    assert not re.search(r'name="routes-0-is_active"[^>]* checked', first)


def test_a_form_that_is_not_right_is_422_with_the_words_at_the_field(world: World, browser: Client) -> None:
    answer = browser.post(
        reverse("services:create"),
        filled({"path": "ledger"}, name="Billing Service", upstream_url="ledger:8080"),
    )
    page = html_of(answer)
    assert answer.status_code == 422
    assert "Another API service has this name" in page
    assert "Start with http:// or https://" in page
    assert 'id="id_routes-0-path_error"' in page
    assert paths_in(page) == ["ledger"]
    assert ApiService.objects.filter(tenant=world.tenant).count() == 3


def test_as_many_routes_as_a_service_may_have_fit_into_one_form(world: World, browser: Client) -> None:
    every = {"methods": list(METHODS), "is_active": "on", "strip_path": "on", "id": ""}
    browser.post(
        reverse("services:create"), filled(*({"path": f"/r{number}"} | every for number in range(MAX_ROUTES)))
    )
    assert ApiService.objects.get(name="Ledger").routes.count() == MAX_ROUTES


@pytest.mark.parametrize("total", ["", "x", "-1", "99999", "1e9"])
def test_a_form_without_sense_in_its_counters_is_no_crash(world: World, browser: Client, total: str) -> None:
    assert browser.post(reverse("services:create"), filled() | {"routes-TOTAL_FORMS": total}).status_code in {
        302,
        422,
    }
    assert (
        browser.post(
            reverse("services:create"), filled(row="add") | {"routes-TOTAL_FORMS": total}
        ).status_code
        == 200
    )


def test_a_change_that_somebody_else_was_faster_with_is_409(world: World, browser: Client) -> None:
    service = billing(world)
    api_services.update_service(
        world.actor, service.pk, fields=checked_service(world.actor, {"version": "9"}, service=service)
    )
    answer = browser.post(
        at("edit", service),
        filled({"path": "/x"}, name="Billing Service", revision=service.revision),
    )
    assert answer.status_code == 409
    assert "Somebody else changed this" in html_of(answer)
    assert billing(world).version == "9"


def test_the_page_says_which_publishes_carry_which_version(world: World, browser: Client) -> None:
    dev, service = world.published(), billing(world)
    world.withdrawn(environment="prod", hostname_base="gone.prod.localhost")
    page = text(browser, at("detail", service))
    assert page.count(f'href="{reverse("publishes:detail", args=[dev.product_id, dev.pk])}"') == 1
    assert "as it is now" in page
    assert "Production" not in page
    api_services.update_service(
        world.actor, service.pk, fields=checked_service(world.actor, {"timeout_ms": 9_000}, service=service)
    )
    assert "an older state" in text(browser, at("detail", service))
    products.link_services(
        world.actor,
        world.product.pk,
        service_ids=ApiService.objects.exclude(pk=service.pk).values_list("pk", flat=True),
    )
    assert "an older state" in text(browser, at("detail", service))


def test_a_refused_deletion_says_what_needs_the_service(world: World, browser: Client) -> None:
    service = billing(world)
    refused = browser.post(at("delete", service), headers=SCRIPT)
    assert refused.status_code == 409
    assert "It is linked to Payment API v2.0. Unlink it there first." in html_of(refused)
    Product.objects.update(status="archived")  # read-only: nobody can unlink it there
    assert "It belongs to archived products, which are read-only: Payment API v2.0." in html_of(
        browser.post(at("delete", service), headers=SCRIPT)
    )
    Product.objects.all().delete()
    assert browser.post(at("delete", service)).headers["Location"] == reverse("services:list")
    assert not ApiService.objects.filter(pk=service.pk).exists()


def test_the_upstream_is_looked_at_from_where_the_gateways_stand(world: World, browser: Client) -> None:
    url = reverse("upstream-check")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        fine = html_of(browser.get(url, {"url": f"http://127.0.0.1:{port}"}))
    assert "acme-kr" in fine
    assert "imp-gateway tried to connect, and something listens." in fine
    closed = html_of(browser.get(url, {"url": f"http://127.0.0.1:{port}"}))
    assert "imp-gateway tried to connect, and nothing listens at this port." in closed
    refused = html_of(browser.get(url, {"url": "http://169.254.169.254"}))
    assert (
        "Refused from here: its host is a loopback, link-local, metadata or otherwise special address."
        in refused
    )
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as waiting:
        for _number in range(2):  # nobody takes them, so that the third one waits
            first = waiting.enter_context(socket.socket())
            first.setblocking(False)
            first.connect_ex(full.getsockname())
        silent = html_of(browser.get(url, {"url": f"http://127.0.0.1:{full.getsockname()[1]}"}))
    assert "imp-gateway tried to connect and got no answer within a second" in silent
    assert browser.get(url, {"url": "nonsense"}).content == b""
    assert (
        signed_in(member(world.tenant, Role.VIEWER)).get(url, {"url": "http://127.0.0.1"}).status_code == 403
    )


@pytest.mark.parametrize("name", PAGES)
def test_a24_another_tenants_service_pages_are_not_there_and_a_viewer_only_looks(
    world: World, other: World, name: str
) -> None:
    service = billing(world)
    stranger, viewer = signed_in(other.user), signed_in(member(world.tenant, Role.VIEWER))
    for ask in (stranger.get, stranger.post) if name != "detail" else (stranger.get,):
        assert ask(at(name, service)).status_code == 404
        assert ask(reverse(f"services:{name}", args=[nobody_knows()])).status_code == 404
    assert viewer.get(at(name, service)).status_code == (200 if name == "detail" else 403)
    if name != "detail":
        assert viewer.post(at(name, service)).status_code == 403
    assert at("edit", service) not in text(viewer, at("detail", service))
    assert viewer.get(reverse("services:create")).status_code == 403
    assert viewer.get(reverse("services:import")).status_code == 403
    assert service.name not in text(stranger, f"{reverse('services:list')}?q=nothing")
    assert str(service.pk) not in text(stranger, reverse("services:list"))


@pytest.mark.parametrize("rows", [1, 50])
def test_queries_and_weight_stay_the_same_however_many_rows(
    world: World, django_assert_max_num_queries: DjangoAssertNumQueries, rows: int
) -> None:
    world.published()
    service = billing(world)
    routes = [{"path": f"/r{number}"} for number in range(rows)]
    api_services.update_service(
        world.actor, service.pk, fields=checked_service(world.actor, {"routes": routes}, service=service)
    )
    for number in range(rows):
        ApiService.objects.create(
            tenant=world.tenant,
            name=f"Service {number:02}",
            upstream_host="service.example.com",
            version="1.0",
        )
        Product.objects.create(tenant=world.tenant, name=f"Product {number:02}", version="1").links.create(
            tenant=world.tenant, service=service
        )
    browser = signed_in(world.user)
    own = 3  # the session, the person, the membership
    with django_assert_max_num_queries(6 + own):
        page = browser.get(reverse("services:list"))
    assert len(page.content) <= 25_000
    with django_assert_max_num_queries(8 + own):
        browser.get(at("detail", service))
    with django_assert_max_num_queries(3 + own):
        browser.get(at("edit", service))
