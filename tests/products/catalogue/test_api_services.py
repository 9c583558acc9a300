"""API services: upstream and routes change together, routes keep ids, used services stay."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from core.problems import ChangedMeanwhile, Forbidden, Invalid, NotFound
from products import errors
from products.catalogue import api_services, products
from products.catalogue.api_services import RouteFields
from products.catalogue.upstream_urls import UpstreamUrl, parse
from products.forms import checked_service
from products.models import ApiService, Route
from publishes.verbs import publishing, withdrawing
from tests.world import World, nobody_knows

LEDGER: dict[str, Any] = {"name": "Ledger Service", "upstream_url": "http://ledger:8080/base"}


def billing() -> ApiService:
    return ApiService.objects.get(name="Billing Service")


def routes_of(service: ApiService) -> list[tuple[str, list[str], bool, str, int]]:
    return [
        (r.path, r.methods, r.strip_path, r.status, r.position) for r in service.routes.order_by("position")
    ]


def test_a_service_is_made_with_its_upstream_and_routes_in_one_go(world: World) -> None:
    routes = [
        {"path": "/ledger", "methods": ["POST", "GET"], "strip_path": True},
        {"path": "/old", "is_active": False},
    ]
    service = api_services.create_service(
        world.actor, fields=checked_service(world.actor, LEDGER | {"status": "active", "routes": routes})
    )
    service.refresh_from_db()
    assert (service.tenant, service.status, str(UpstreamUrl.of(service)), service.timeout_ms) == (
        world.tenant,
        "active",
        "http://ledger:8080/base",
        60_000,
    )
    assert routes_of(service) == [
        ("/ledger", ["GET", "POST"], True, "active", 0),
        ("/old", [], False, "inactive", 1),
    ]


def test_a_change_keeps_the_ids_of_the_routes_that_stay(world: World) -> None:
    service = billing()
    (first,) = service.routes.all()
    routes = [{"path": "/new"}, {"id": str(first.pk), "path": "/bills", "methods": ["GET"]}]
    changed = api_services.update_service(
        world.actor, service.pk, fields=checked_service(world.actor, {"routes": routes}, service=service)
    )
    assert [(route.path, route.pk == first.pk) for route in changed.routes.all()] == [
        ("/new", False),
        ("/bills", True),
    ]
    api_services.update_service(
        world.actor,
        service.pk,
        fields=checked_service(world.actor, {"routes": [{"path": "/bills"}]}, service=service),
    )
    assert list(service.routes.values_list("pk", flat=True)) == [first.pk]


def test_a_route_of_another_service_is_not_taken_over(world: World) -> None:
    service, theirs = billing(), Route.objects.get(path="/refunds")
    fields = checked_service(
        world.actor, {"routes": [{"id": str(theirs.pk), "path": "/mine"}]}, service=service
    )
    api_services.update_service(world.actor, service.pk, fields=fields)
    theirs.refresh_from_db()
    assert (theirs.path, theirs.service.name) == ("/refunds", "Refund Service")
    assert [route.path for route in service.routes.all()] == ["/mine"]


def test_what_a_program_leaves_out_stays_and_every_change_is_seen(world: World) -> None:
    service = billing()
    fields = checked_service(world.actor, {"timeout_ms": 7_000}, service=service)
    changed = api_services.update_service(world.actor, service.pk, fields=fields, revision=service.revision)
    assert (changed.name, changed.upstream_port, changed.timeout_ms) == ("Billing Service", 8081, 7_000)
    assert [route.path for route in changed.routes.all()] == ["/billing"]
    assert changed.revision == service.revision + 1
    with pytest.raises(ChangedMeanwhile):
        api_services.update_service(world.actor, service.pk, fields=fields, revision=service.revision)


def test_a_change_reaches_what_is_live_only_when_it_is_published_again(world: World) -> None:
    publish = world.published()
    service = billing()
    before = world.last_operation(publish)
    api_services.update_service(
        world.actor,
        service.pk,
        fields=checked_service(world.actor, {"upstream_url": "http://else:1"}, service=service),
    )
    assert world.last_operation(publish) == before
    publish.refresh_from_db()
    assert publish.generation == before.generation


def test_a_service_that_a_product_has_or_that_is_live_is_not_deleted(world: World) -> None:
    publish, service = world.published(), billing()
    with pytest.raises(errors.InUse) as linked:
        api_services.delete_service(world.actor, service.pk)
    assert "Payment API v2.0" in str(linked.value.detail)
    other_ids = ApiService.objects.exclude(pk=service.pk).values_list("pk", flat=True)
    products.link_services(world.actor, world.product.pk, service_ids=list(other_ids))
    with pytest.raises(errors.InUse) as refused:
        api_services.delete_service(world.actor, service.pk)
    assert "still live in Payment API v2.0 · Development" in str(refused.value.detail)
    withdrawing.request_withdraw(world.actor, publish.pk, reason="for a test")
    world.everybody_confirms()
    publishing.request_publish(world.actor, publish.pk)
    world.everybody_confirms()
    api_services.delete_service(world.actor, service.pk)
    assert not ApiService.objects.filter(pk=service.pk).exists()
    assert not Route.objects.filter(path="/billing").exists()


def test_a24_another_tenants_service_is_not_there_and_a_viewer_may_not(world: World, other: World) -> None:
    fields = checked_service(world.actor, LEDGER)
    mine = billing_of(world)
    for actor, refusal in ((other.actor, NotFound), (world.viewer, Forbidden)):
        with pytest.raises(refusal):
            api_services.update_service(actor, mine.pk, fields=fields)
        with pytest.raises(refusal):
            api_services.delete_service(actor, mine.pk)
    with pytest.raises(NotFound):
        api_services.delete_service(world.actor, nobody_knows())
    with pytest.raises(Forbidden):
        api_services.create_service(world.viewer, fields=fields)
    assert ApiService.objects.count() == 6


def billing_of(world: World) -> ApiService:
    return ApiService.objects.get(name="Billing Service", tenant=world.tenant)


def test_a_name_is_used_once_in_a_tenant(world: World, other: World) -> None:
    with pytest.raises(Invalid) as refused:
        checked_service(world.actor, LEDGER | {"name": "Billing Service"})
    assert list(refused.value.fields) == ["name"]
    assert (
        checked_service(world.actor, {"name": "Billing Service"}, service=billing_of(world)).name
        == "Billing Service"
    )
    fields = checked_service(world.actor, LEDGER)
    api_services.create_service(world.actor, fields=fields)
    with pytest.raises(Invalid):
        api_services.create_service(world.actor, fields=fields)
    api_services.create_service(other.actor, fields=fields)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "x"}, "name"),
        ({"upstream_url": ""}, "upstream_url"),
        ({"upstream_url": "billing:8080"}, "upstream_url"),
        ({"status": "draft"}, "status"),
        ({"timeout_ms": 0}, "timeout_ms"),
        ({"timeout_ms": 600_001}, "timeout_ms"),
        ({"connect_timeout_ms": 9_000, "timeout_ms": 8_000}, "connect_timeout_ms"),
        ({"routes": [{"path": "billing"}]}, "routes.0.path"),
        ({"routes": [{"path": "/a"}, {}]}, "routes.1.path"),
        ({"routes": [{"path": "/a", "methods": ["FETCH"]}]}, "routes.0.methods"),
        (
            {"routes": [{"path": "/a", "methods": ["GET", "PUT"]}, {"path": "/a", "methods": ["PUT"]}]},
            "routes.1.path",
        ),
        ({"routes": [{"path": "/a"}, {"path": "/a", "methods": ["PUT"]}]}, "routes.1.path"),
        ({"routes": [{"path": f"/{n}"} for n in range(201)]}, "routes"),
    ],
)
def test_a_field_that_is_not_right_is_named(world: World, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked_service(world.actor, LEDGER | changes)
    assert list(refused.value.fields) == [field]


def test_one_path_may_have_rows_for_different_methods(world: World) -> None:
    routes = [{"path": "/a", "methods": ["GET"]}, {"path": "/a", "methods": ["POST"]}]
    assert checked_service(world.actor, LEDGER | {"routes": routes}).routes == (
        RouteFields(path="/a", methods=("GET",)),
        RouteFields(path="/a", methods=("POST",)),
    )


@pytest.mark.parametrize(
    ("text", "shown", "port"),
    [
        ("http://billing", "http://billing", 80),
        ("HTTPS://Billing.Example.COM/", "https://billing.example.com", 443),
        ("http://10.0.0.7:8080/v1/", "http://10.0.0.7:8080/v1", 8080),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443", 8443),
    ],
)
def test_an_upstream_url_is_read_and_written(text: str, shown: str, port: int) -> None:
    assert (str(parse(text)), parse(text).port) == (shown, port)


def test_every_port_that_is_none_is_refused_in_the_same_words() -> None:
    for port in ("0", "65536", "70000", "eighty"):
        with pytest.raises(ValidationError) as refused:
            parse(f"http://billing:{port}")
        assert refused.value.messages == ["A port is a number from 1 to 65535."]


@pytest.mark.parametrize(
    "text",
    [
        "ftp://billing",
        "http://",
        "http://user:secret@billing",
        "http://billing?x=1",
        "http://billing?",
        "http://billing#top",
        "http://billing:0",
        "http://billing:99999",
        "http://billing:eighty",
        "http://bil_ling",
        "http://-billing",
        "http://결제.example.com",
        "http://billing/a b",
        "http://billing/../admin",
        "http://billing//admin",
        "http://billing/\nX",
        "http://[fe80::1%25eth0]/",
        "http://[nonsense",
        "http://" + "a." * 130 + "com",
    ],
)
def test_what_is_no_upstream_is_refused(world: World, text: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked_service(world.actor, LEDGER | {"upstream_url": text})
    assert list(refused.value.fields) == ["upstream_url"]
