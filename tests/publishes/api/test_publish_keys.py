"""The test key by API: shown once, replaced, switched off, and only for those who may."""

from django.test import Client

from publishes.models import Credential
from tests.publishes.callers.test_credentials import closed
from tests.world import World, nobody_knows

P = "/api/v1/provider/product-publishes"


def test_the_test_key_is_shown_by_the_answer_that_made_it_and_by_nothing_else(
    api: Client, world: World
) -> None:
    publish = closed(world)
    response = api.post(f"{P}/{publish.pk}/test-key", content_type="application/json")
    new_key = response.json()
    assert (response.status_code, response["Cache-Control"]) == (201, "no-store")
    assert set(new_key) == {
        "id",
        "consumer",
        "fingerprint",
        "state",
        "expires_at",
        "created_at",
        "proved_on",
        "awaited_from",
        "key",
        "header",
        "operation",
    }
    assert (new_key["consumer"], new_key["header"], new_key["state"]) == ("test", "apikey", "active")
    (listed,) = api.get(f"{P}/{publish.pk}/keys").json()
    assert listed == {
        name: value for name, value in new_key.items() if name not in {"key", "header", "operation"}
    }


def test_a_client_waits_for_the_operation_that_brings_a_changed_key_to_the_agents(
    api: Client, world: World
) -> None:
    publish = closed(world)
    new_key = api.post(f"{P}/{publish.pk}/test-key", content_type="application/json").json()
    assert (new_key["operation"]["kind"], new_key["operation"]["phase"], new_key["awaited_from"]) == (
        "sync",
        "QUEUED",
        ["busan-1", "busan-2"],
    )
    world.everybody_confirms()
    assert api.get(f"/api/v1/provider/operations/{new_key['operation']['id']}").json()["phase"] == "SUCCEEDED"
    off = api.delete(f"{P}/{publish.pk}/test-key")
    assert off.status_code == 200
    assert [key["id"] for key in off.json()["keys"]] == [new_key["id"]]
    assert [delivery["agent"] for delivery in off.json()["operation"]["deliveries"]] == ["busan-1", "busan-2"]
    world.agents[0].confirm_all()
    (listed,) = api.get(f"{P}/{publish.pk}/keys").json()
    assert (listed["state"], listed["proved_on"], listed["awaited_from"]) == ("off", ["busan-1"], ["busan-2"])


def test_of_a_draft_s_key_there_is_nothing_to_wait_for(api: Client, world: World) -> None:
    publish = world.draft(auth_mode="api-key")
    assert api.post(f"{P}/{publish.pk}/test-key", content_type="application/json").json()["operation"] is None
    assert api.delete(f"{P}/{publish.pk}/test-key").json()["operation"] is None


def test_it_is_replaced_with_an_overlap_and_switched_off(api: Client, world: World) -> None:
    publish = closed(world, auth_config={"key_header": "x-api-key"})
    first, second = (
        api.post(f"{P}/{publish.pk}/test-key", content_type="application/json").json() for _ in range(2)
    )
    assert second["header"] == "x-api-key"
    assert first["key"] != second["key"]
    listed = api.get(f"{P}/{publish.pk}/keys").json()
    assert [(row["id"], row["state"], row["expires_at"] is None) for row in listed] == [
        (second["id"], "active", True),
        (first["id"], "active", False),
    ]
    third = api.post(f"{P}/{publish.pk}/test-key", {"overlap_s": 0}, content_type="application/json").json()
    assert [row["state"] for row in api.get(f"{P}/{publish.pk}/keys").json()] == ["active", "off", "off"]
    assert api.delete(f"{P}/{publish.pk}/test-key").status_code == 200
    assert Credential.objects.get(pk=third["id"]).state == "off"
    assert api.delete(f"{P}/{publish.pk}/test-key").status_code == 404


def test_the_keys_come_in_pages_like_every_list(api: Client, world: World) -> None:
    publish = closed(world)
    for number in range(27):
        Credential.objects.create(
            publish=publish, consumer=f"consumer-{number}", fingerprint=str(number), secret="x", state="off"
        )
    first = api.get(f"{P}/{publish.pk}/keys")
    assert (len(first.json()), first["X-Total-Count"]) == (25, "27")
    assert [row["consumer"] for row in api.get(f"{P}/{publish.pk}/keys?page=2").json()] == [
        "consumer-1",
        "consumer-0",
    ]


def test_the_same_request_again_shows_no_key_again(api: Client, world: World) -> None:
    publish = closed(world)
    once = {"Idempotency-Key": "one"}
    assert (
        api.post(f"{P}/{publish.pk}/test-key", content_type="application/json", headers=once).status_code
        == 201
    )
    again = api.post(f"{P}/{publish.pk}/test-key", content_type="application/json", headers=once)
    assert (again.status_code, again.json()["code"]) == (409, "shown_once")
    assert Credential.objects.count() == 1


def test_who_may_not_gets_no_key(api: Client, viewer: Client, stranger: Client, world: World) -> None:
    publish = closed(world)
    for client, status in ((viewer, 403), (stranger, 404), (Client(), 401)):
        assert (
            client.post(f"{P}/{publish.pk}/test-key", content_type="application/json").status_code == status
        )
        assert client.delete(f"{P}/{publish.pk}/test-key").status_code == status
    assert viewer.get(f"{P}/{publish.pk}/keys").status_code == 200
    assert stranger.get(f"{P}/{publish.pk}/keys").status_code == 404
    assert api.post(f"{P}/{nobody_knows()}/test-key", content_type="application/json").status_code == 404
    refused = api.post(
        f"{P}/{world.draft(hostname_base='open.localhost').pk}/test-key", content_type="application/json"
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "no_keys_asked_for")
    assert (
        api.post(f"{P}/{publish.pk}/test-key", {"overlap_s": -1}, content_type="application/json").status_code
        == 422
    )
    assert Credential.objects.count() == 0
