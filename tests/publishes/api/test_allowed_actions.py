"""`allowed_actions` of one publish: what the caller may do now, with the refusal that it would get."""

from typing import Any

from django.test import Client
from django.utils import timezone

from publishes.engine.allowed import Action
from publishes.models import ProductPublish
from publishes.verbs import publishing
from tests.world import World

P = "/api/v1/provider"


def actions_of(client: Client, publish: ProductPublish, **headers: str) -> dict[str, Any]:
    answer: dict[str, Any] = client.get(f"{P}/product-publishes/{publish.pk}", headers=headers).json()
    return dict(answer["allowed_actions"])


def test_each_action_is_there_and_says_yes_or_the_refusal_that_asking_gets(api: Client, world: World) -> None:
    publish = world.published()
    actions = actions_of(api, publish, **{"Accept-Language": "en"})
    assert set(actions) == set(Action)
    assert actions["withdraw"] == {"allowed": True, "code": None, "reason": None}
    assert [name for name, answer in actions.items() if answer["allowed"]] == ["withdraw"]
    address, english = f"{P}/product-publishes/{publish.pk}/publish", {"Accept-Language": "en"}
    refused = api.post(address, {}, content_type="application/json", headers=english)
    expected = {"allowed": False, "code": refused.json()["code"], "reason": refused.json()["detail"]}
    assert (refused.status_code, actions["publish"]) == (409, expected)


def test_they_follow_what_goes_on(api: Client, world: World) -> None:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    actions = actions_of(api, publish)
    assert (actions["cancel"]["allowed"], actions["edit"]["code"]) == (True, "operation_open")
    ProductPublish.objects.update(frozen_at=timezone.now())
    assert {actions_of(api, publish)[name]["code"] for name in ("edit", "publish", "cancel", "delete")} == {
        "generation_ahead"
    }


def test_a_viewer_may_nothing_and_reads_why(viewer: Client, world: World) -> None:
    actions = actions_of(viewer, world.draft(), **{"Accept-Language": "ko"})
    assert {answer["code"] for answer in actions.values()} == {"forbidden"}
    assert {"역할" in answer["reason"] for answer in actions.values()} == {True}


def test_the_answers_that_make_and_change_one_carry_them_and_lists_do_not(api: Client, world: World) -> None:
    place = {"cluster_id": str(world.cluster.pk), "gateway_id": str(world.gateway.pk)}
    json = "application/json"
    draft = api.post(f"{P}/products/{world.product.pk}/publishes", place, content_type=json).json()
    address = f"{P}/product-publishes/{draft['id']}"
    changed = api.put(address, {"environment": "prod"}, content_type=json).json()
    assert (
        draft["allowed_actions"] == changed["allowed_actions"] == api.get(address).json()["allowed_actions"]
    )
    for path in (f"{P}/products/{world.product.pk}/publishes", f"{P}/product-publishes"):
        assert ["allowed_actions" in row for row in api.get(path).json()] == [False]


def test_the_openapi_document_names_the_actions_and_their_shape(db: None) -> None:
    schemas = Client().get("/api/v1/openapi.json").json()["components"]["schemas"]
    field = schemas["PublishDetailOut"]["properties"]["allowed_actions"]
    assert field["additionalProperties"]["$ref"].endswith("/ActionOut")
    assert set(schemas["ActionOut"]["properties"]) == {"allowed", "code", "reason"}
    assert "allowed_actions" in schemas["PublishDetailOut"]["required"]
