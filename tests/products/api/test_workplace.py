"""Products, API services and gateways by JSON: the same rules as on the pages."""

import json
from typing import Any

import pytest
from django.test import Client

from gateways.models import Gateway
from products.models import ApiService, Product
from tests.world import World

P = "/api/v1/provider"


def send(api: Client, method: str, path: str, body: Any = None, **headers: str) -> Any:
    return api.generic(
        method,
        P + path,
        "" if body is None else json.dumps(body),
        content_type="application/json",
        headers=headers,
    )


def test_a_pipeline_makes_a_whole_product_and_publishes_it(api: Client, world: World) -> None:
    service = send(
        api,
        "POST",
        "/api-services",
        {
            "name": "Ledger Service",
            "upstream_url": "http://127.0.0.1:8081/v1",
            "status": "active",
            "routes": [{"path": "/ledger"}],
        },
    )
    assert service.status_code == 201
    created = service.json()
    assert (
        created["upstream_url"],
        created["routes"][0]["path"],
        created["routes"][0]["methods"],
        created["routes"][0]["is_active"],
    ) == (
        *("http://127.0.0.1:8081/v1", "/ledger"),
        *([], True),
    )
    product = send(
        api,
        "POST",
        "/products",
        {"name": "Ledger API", "version": "1.0", "api_services": [created["id"]], "categories": ["finance"]},
    )
    assert (product.status_code, product.json()["status"], product.json()["api_services"]) == (
        201,
        "draft",
        [created["id"]],
    )
    product_path = f"/products/{product.json()['id']}"
    assert send(api, "POST", f"{product_path}/activate").json()["status"] == "active"
    gateway = send(
        api,
        "POST",
        "/gateways",
        {
            "name": "edge",
            "gateway_class": "envoy",
            "listeners": [{"port": 8443, "protocol": "HTTPS"}],
            "clusters": [str(world.cluster.pk)],
        },
    )
    assert (gateway.status_code, gateway.json()["listeners"]) == (
        201,
        [{"name": "https-8443", "port": 8443, "protocol": "HTTPS"}],
    )
    draft = send(
        api,
        "POST",
        f"{product_path}/publishes",
        {"cluster_id": str(world.cluster.pk), "gateway_id": gateway.json()["id"]},
    )
    assert (draft.status_code, draft.json()["api_services"]) == (201, [created["id"]])
    assert send(api, "POST", f"/product-publishes/{draft.json()['id']}/publish").status_code == 202
    world.everybody_confirms()
    for path, code in (
        (f"{product_path}/deactivate", "still_deployed"),
        (f"/gateways/{gateway.json()['id']}", "in_use"),
        (f"/api-services/{created['id']}", "in_use"),
    ):
        refused = send(api, "POST" if "deactivate" in path else "DELETE", path)
        assert (refused.status_code, refused.json()["code"]) == (409, code)


KINDS = {
    "products": ({"description": "new"}, "description", "name"),
    "api-services": ({"description": "new"}, "description", "name"),
    "gateways": ({"status": "inactive"}, "status", "name"),
}


def id_of(world: World, kind: str) -> str:
    service = world.product.services.first()
    return str(
        {
            "products": world.product.pk,
            "api-services": service.pk if service else "",
            "gateways": world.gateway.pk,
        }[kind]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_put_changes_what_is_given_and_nothing_else_and_minds_if_match(
    api: Client, world: World, kind: str
) -> None:
    change, field, unchanged = KINDS[kind]
    path = f"/{kind}/{id_of(world, kind)}"
    if kind == "gateways":
        assert send(api, "PUT", path, {"listeners": [{"port": 80}]}).status_code == 200
    before = send(api, "GET", path)
    changed = send(api, "PUT", path, change, **{"If-Match": before.headers["ETag"]})
    assert changed.status_code == 200, changed.content
    moving = {field, "revision", "updated_at"}
    other_fields = {name: value for name, value in changed.json().items() if name not in moving}
    assert other_fields == {name: value for name, value in before.json().items() if name not in moving}
    for answer in (before, changed):
        assert answer.headers["ETag"] == f'"{answer.json()["revision"]}"'
    assert changed.json()["revision"] == before.json()["revision"] + 1
    assert changed.json()[field] == change[field]
    refused = send(api, "PUT", path, {unchanged: "zzz"}, **{"If-Match": before.headers["ETag"]})
    assert (refused.status_code, refused.json()["code"]) == (412, "changed_meanwhile")
    assert send(api, "GET", path).json() == changed.json()


@pytest.mark.parametrize("kind", KINDS)
def test_lists_are_narrowed_and_of_the_tenant_alone(
    api: Client, world: World, other: World, kind: str
) -> None:
    rows = send(api, "GET", f"/{kind}").json()
    assert id_of(world, kind) in {row["id"] for row in rows}
    assert id_of(other, kind) not in {row["id"] for row in rows}
    assert send(api, "GET", f"/{kind}?q=no-such-thing").json() == []
    assert send(api, "GET", f"/{kind}?status=moon").status_code == 422


@pytest.mark.parametrize(("kind", "queries"), [("products", 2), ("api-services", 2), ("gateways", 3)])
def test_lists_do_not_ask_once_per_row(
    api: Client, world: World, kind: str, queries: int, django_assert_num_queries: Any
) -> None:
    for number in range(20):
        Product.objects.create(tenant=world.tenant, name=f"P{number}", version="1")
        ApiService.objects.create(tenant=world.tenant, name=f"S{number}", upstream_host="x")
        Gateway.objects.create(tenant=world.tenant, name=f"g{number}")
    send(api, "GET", f"/{kind}")
    with django_assert_num_queries(1 + queries):
        assert len(send(api, "GET", f"/{kind}").json()) > 20


def test_gateways_of_a_cluster_are_those_that_can_be_chosen_there(
    api: Client, world: World, other: World
) -> None:
    Gateway.objects.create(tenant=world.tenant, name="elsewhere")
    assert [row["name"] for row in send(api, "GET", f"/gateways?cluster_id={world.cluster.pk}").json()] == [
        "dev-gateway"
    ]
    assert send(api, "GET", f"/gateways?cluster_id={other.cluster.pk}").json() == []
    Gateway.objects.update(status="inactive")
    assert send(api, "GET", f"/gateways?cluster_id={world.cluster.pk}").json() == []


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/products", {"version": "1"}, "name"),
        (
            "/products",
            {"name": "Ledger", "version": "1", "api_services": ["00000000-0000-0000-0000-000000000000"]},
            "api_services",
        ),
        ("/products", {"name": "Ledger", "version": "1", "status": "active"}, "status"),
        ("/products", {"name": "Ledger", "version": "1", "logo_url": "javascript:alert(1)"}, "logo_url"),
        ("/api-services", {"name": "Ledger"}, "upstream_url"),
        (
            "/api-services",
            {"name": "Ledger", "upstream_url": "http://x", "routes": [{"path": "ledger"}]},
            "routes.0.path",
        ),
        (
            "/api-services",
            {"name": "Ledger", "upstream_url": "http://x", "routes": [{"path": "/a"}, {"path": "/a"}]},
            "routes.1.path",
        ),
        ("/api-services", {"name": "Billing Service", "upstream_url": "http://x"}, "name"),
        ("/gateways", {"name": "edge", "listeners": [{"port": 1}]}, "clusters"),
        ("/gateways", {"name": "edge", "listeners": [{"port": 0}], "clusters": []}, "listeners.0.port"),
    ],
)
def test_what_is_wrong_is_named_by_field_and_nothing_is_made(
    api: Client, world: World, path: str, body: Any, field: str
) -> None:
    before = (Product.objects.count(), ApiService.objects.count(), Gateway.objects.count())
    refused = send(api, "POST", path, body)
    assert refused.status_code == 422
    assert field in refused.json()["fields"]
    assert (Product.objects.count(), ApiService.objects.count(), Gateway.objects.count()) == before


def test_another_tenants_service_cannot_be_linked(api: Client, world: World, other: World) -> None:
    refused = send(
        api, "PUT", f"/products/{world.product.pk}", {"api_services": [id_of(other, "api-services")]}
    )
    assert (refused.status_code, list(refused.json()["fields"])) == (422, ["api_services"])
    assert world.product.services.count() == 3


def test_what_is_not_needed_any_more_is_deleted(api: Client, world: World) -> None:
    product = send(api, "POST", "/products", {"name": "Ledger API", "version": "1.0"}).json()
    service = send(api, "POST", "/api-services", {"name": "Ledger", "upstream_url": "http://x"}).json()
    for path in (
        f"/products/{product['id']}",
        f"/api-services/{service['id']}",
        f"/gateways/{world.gateway.pk}",
    ):
        assert send(api, "DELETE", path).status_code == 204
        assert send(api, "GET", path).status_code == 404
    assert send(api, "POST", f"/products/{world.product.pk}/deactivate").json()["status"] == "draft"
    assert send(api, "POST", f"/products/{world.product.pk}/activate").json()["status"] == "active"
    assert send(api, "POST", f"/products/{world.product.pk}/archive").json()["status"] == "archived"
    assert (
        send(api, "PUT", f"/products/{world.product.pk}", {"description": "x"}).json()["code"]
        == "product_archived"
    )
