"""The brief's seven endpoints, the operations behind them, and the history (A16, A17)."""

import json
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agent.protocol.version import PROGRAM_VERSION
from clusters.models import Cluster
from publishes.models import ProductPublish
from publishes.verbs import publishing
from tests.publishes.api.test_publishes_who_may import ENDPOINTS
from tests.world import World

P = "/api/v1/provider"
PROBLEM = "application/problem+json"


def body_of(world: World, **changes: Any) -> dict[str, Any]:
    return {"cluster_id": str(world.cluster.pk), "gateway_id": str(world.gateway.pk), **changes}


def create(api: Client, world: World, **changes: Any) -> Any:
    return api.post(
        f"{P}/products/{world.product.pk}/publishes",
        body_of(world, **changes),
        content_type="application/json",
    )


def test_a16_a_draft_has_the_briefs_fields_and_since_when_it_is_frozen_and_the_defaults(
    api: Client, world: World
) -> None:
    response = create(api, world)
    assert response.status_code == 201
    draft = response.json()
    assert set(draft) == {
        *(
            "id",
            "product_id",
            "provider_tenant_id",
            "gateway_id",
            "cluster_id",
            "environment",
            "hostname_base",
            "api_services",
            "route_ids",
        ),
        *("auth_mode", "auth_config", "visibility", "approval_required", "status", "generation", "frozen_at"),
        *(
            "published_at",
            "published_by",
            "withdrawn_at",
            "withdrawn_by",
            "revision",
            "created_at",
            "updated_at",
        ),
        "allowed_actions",
    }
    assert (
        draft["environment"],
        draft["auth_mode"],
        draft["visibility"],
        draft["approval_required"],
        draft["status"],
    ) == ("dev", "none", "public", True, "DRAFT")
    assert draft["hostname_base"] == "payment-api.dev.kr-seoul.localhost"
    assert draft["provider_tenant_id"] == str(world.tenant.pk)
    assert set(draft["api_services"]) == {str(service.pk) for service in world.product.services.all()}
    assert len(draft["route_ids"]) == 3
    assert (draft["published_at"], draft["withdrawn_by"], draft["frozen_at"]) == (None, None, None)


def test_a_taken_hostname_is_suggested_with_a_number(api: Client, world: World) -> None:
    create(api, world)
    assert create(api, world).json()["hostname_base"] == "payment-api-2.dev.kr-seoul.localhost"


def test_the_whole_way_from_draft_to_404(api: Client, world: World) -> None:
    publish_id = create(api, world).json()["id"]
    publish_url = f"{P}/product-publishes/{publish_id}"

    def run(method: str, path: str, data: dict[str, str] | None = None) -> str:
        response = api.generic(
            method,
            publish_url + path,
            data=json.dumps(data) if data else b"",
            content_type="application/json",
        )
        assert response.status_code == 202, response.content
        assert response.headers["Location"] == f"http://testserver{P}/operations/{response.json()['id']}"
        assert response.json()["phase"] == "QUEUED"
        world.everybody_confirms()
        operation = api.get(response.headers["Location"]).json()
        assert operation["phase"] == "SUCCEEDED"
        assert [row["agent"] for row in operation["deliveries"]] == ["busan-1", "busan-2"]
        return str(operation["id"])

    run("POST", "/publish", {"note": "Production release v2.0"})
    assert api.get(publish_url).json()["status"] == "PUBLISHED"
    run("POST", "/withdraw", {"reason": "a fault upstream"})
    assert api.get(publish_url).json()["status"] == "WITHDRAWN"
    run("POST", "/publish")
    assert api.get(publish_url).json()["published_by"] == "developer token"
    run("POST", "/withdraw", {"reason": "for good"})
    events = api.get(f"{publish_url}/events").json()
    assert [event["to_status"] for event in events if event["to_status"]] == [
        "WITHDRAWN",
        "PUBLISHED",
        "WITHDRAWN",
        "PUBLISHED",
        "DRAFT",
    ]
    assert events[0]["note"] == "for good"
    deletion = run("DELETE", "")
    assert api.get(publish_url).status_code == 404
    assert api.get(f"{P}/operations/{deletion}").json()["publish_id"] == publish_id


def test_deleting_a_fresh_draft_answers_204(api: Client, world: World) -> None:
    publish_id = create(api, world).json()["id"]
    assert api.delete(f"{P}/product-publishes/{publish_id}").status_code == 204
    assert not ProductPublish.objects.exists()


def test_a26_the_list_is_of_the_product_newest_first(api: Client, world: World) -> None:
    first, second = create(api, world).json()["id"], create(api, world).json()["id"]
    assert [row["id"] for row in api.get(f"{P}/products/{world.product.pk}/publishes").json()] == [
        second,
        first,
    ]


def test_a19_put_changes_what_is_given_in_a_draft_only(api: Client, world: World) -> None:
    publish_id = create(api, world).json()["id"]
    changed = api.put(
        f"{P}/product-publishes/{publish_id}",
        {"environment": "prod", "visibility": "private"},
        content_type="application/json",
    )
    assert changed.status_code == 200
    assert (changed.json()["environment"], changed.json()["visibility"], changed.json()["hostname_base"]) == (
        *("prod", "private"),
        "payment-api.dev.kr-seoul.localhost",
    )

    published = world.published(hostname_base="live.localhost")
    refused = api.put(
        f"{P}/product-publishes/{published.pk}", {"environment": "prod"}, content_type="application/json"
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    published.refresh_from_db()
    assert published.environment == "dev"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"cluster_id": None}, "cluster_id"),
        ({"gateway_id": None}, "gateway_id"),
        ({"cluster_id": str(UUID(int=0))}, "cluster_id"),
        ({"environment": "staging"}, "environment"),
        ({"auth_mode": "apikey"}, "auth_mode"),
        ({"auth_mode": "oauth2"}, "auth_config"),
        ({"visibility": "secret"}, "visibility"),
        ({"hostname_base": "api.example.com"}, "hostname_base"),
        ({"hostname_base": "*.localhost"}, "hostname_base"),
        ({"hostname_base": "localhost"}, "hostname_base"),
        ({"hostname_base": "Über.localhost"}, "hostname_base"),
        ({"hostname_base": "a" * 300 + ".localhost"}, "hostname_base"),
        ({"api_services": [str(UUID(int=0))]}, "api_services"),
        ({"status": "PUBLISHED"}, "status"),
        ({"tenant": "x"}, "tenant"),
        ({"approval_required": "perhaps"}, "approval_required"),
    ],
)
def test_a_wrong_field_is_named_with_422_and_nothing_is_made(
    api: Client, world: World, changes: dict[str, Any], field: str
) -> None:
    response = create(api, world, **changes)
    assert (response.status_code, response.headers["Content-Type"]) == (422, PROBLEM)
    assert list(response.json()["fields"]) == [field]
    assert not ProductPublish.objects.exists()


def test_what_is_live_shows_what_was_deployed_and_not_what_the_product_became(
    api: Client, world: World
) -> None:
    publish = world.published()
    world.product.services.filter(name="Refund Service").update(status="inactive")
    assert len(api.get(f"{P}/product-publishes/{publish.pk}").json()["api_services"]) == 3
    draft = create(api, world, hostname_base="two.localhost").json()
    assert len(draft["api_services"]) == 2
    again = api.put(
        f"{P}/product-publishes/{draft['id']}",
        {"api_services": draft["api_services"]},
        content_type="application/json",
    )
    assert again.status_code == 200


def test_another_tenants_gateway_is_not_there(api: Client, world: World, other: World) -> None:
    Cluster.objects.update(open_to_all=True)
    response = create(api, world, gateway_id=str(other.gateway.pk), cluster_id=str(other.cluster.pk))
    assert (response.status_code, list(response.json()["fields"])) == (422, ["gateway_id"])


def test_broken_json_is_said_in_words(api: Client, world: World) -> None:
    response = api.post(f"{P}/products/{world.product.pk}/publishes", "{", content_type="application/json")
    assert (response.status_code, response.headers["Content-Type"], response.json()["code"]) == (
        400,
        PROBLEM,
        "malformed",
    )


def test_errors_are_korean_first_and_english_on_request(api: Client, world: World) -> None:
    publish = world.draft()
    path = f"{P}/product-publishes/{publish.pk}/withdraw"
    korean = api.post(path, {"reason": "x"}, content_type="application/json").json()["detail"]
    english = api.post(
        path, {"reason": "x"}, content_type="application/json", headers={"Accept-Language": "en"}
    ).json()["detail"]
    assert english.startswith("A draft is not live")
    assert any("가" <= letter <= "힣" for letter in korean)


def test_the_openapi_document_is_public_and_names_every_endpoint(db: None) -> None:
    document = Client().get("/api/v1/openapi.json").json()
    assert document["info"]["version"] == PROGRAM_VERSION
    assert document["openapi"].startswith("3.1")
    documented = {
        (method.upper(), path.replace("/api/v1/provider", ""))
        for path, item in document["paths"].items()
        for method in item
    }
    expected = {
        (method, path.format(product="{product_id}", publish="{publish_id}", operation="{operation_id}"))
        for method, path in ENDPOINTS
    }
    assert expected <= documented
    names = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names))
    assert {
        "create_publish",
        "update_publish",
        "publish",
        "withdraw",
        "delete_publish",
        "get_operation",
        "create_api_token",
    } <= set(names)


QUERIES = {
    "list": 3,
    "detail": 2,
    "events": 2,
    "operation": 2,
}  # with something live: one more for what was deployed


@pytest.mark.parametrize("rows", [1, 50])
def test_queries_per_endpoint_do_not_grow_with_rows(
    api: Client, world: World, rows: int, django_assert_num_queries: Any
) -> None:
    for number in range(rows):
        publish = world.draft(hostname_base=f"n{number}.localhost")
    operation = publishing.request_publish(world.actor, publish.pk)
    paths = {
        "list": f"{P}/products/{world.product.pk}/publishes",
        "detail": f"{P}/product-publishes/{publish.pk}",
        "events": f"{P}/product-publishes/{publish.pk}/events",
        "operation": f"{P}/operations/{operation.pk}",
    }
    api.get(paths["detail"])  # the token's first use is noted once a minute
    for name, path in paths.items():
        with django_assert_num_queries(1 + QUERIES[name]):  # one more for the token
            assert api.get(path + "?page_size=100").status_code == 200


def test_asking_for_a_publish_costs_the_same_whatever_number_of_agents(api: Client, world: World) -> None:
    counts: list[int] = []
    api.get(P + "/products")  # the token's first use is noted once a minute
    while len(counts) < 2:
        publish = world.draft(hostname_base=f"n{len(counts)}.localhost")
        with CaptureQueriesContext(connection) as captured:
            answer = api.post(
                f"{P}/product-publishes/{publish.pk}/publish", {}, content_type="application/json"
            )
        assert len(answer.json()["deliveries"]) == len(world.agents)
        counts.append(len(captured))
        for number in range(5):
            world.add_agent(f"more-{len(counts)}-{number}")
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/provider/nothing", 404, "not_found"),
        ("GET", "/api/v2/", 404, "not_found"),
        ("GET", f"{P}/products/not-an-id/publishes", 404, "not_found"),
        ("PATCH", f"{P}/product-publishes/{UUID(int=0)}", 405, "method_not_allowed"),
        ("GET", "/agent/v1/heartbeat", 405, "method_not_allowed"),
        ("POST", "/agent/v1/nothing", 404, "not_found"),
    ],
)
def test_whatever_goes_wrong_under_api_and_agent_is_said_as_a_problem(
    api: Client, method: str, path: str, status: int, code: str
) -> None:
    response = api.generic(method, path)
    assert (response.status_code, response.headers["Content-Type"], response.json()["code"]) == (
        status,
        PROBLEM,
        code,
    )
    assert ("Allow" in response.headers) == (status == 405)
