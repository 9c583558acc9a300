"""The same POST sent twice under one Idempotency-Key (F16): done once, answered twice."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from core.api.idempotency import forget_old_keys
from core.models import IdempotencyKey
from publishes.models import Operation, ProductPublish
from publishes.verbs import publishing
from tenants.actors import Role
from tenants.models import ApiToken
from tests.api_clients import client_for
from tests.world import World

P = "/api/v1/provider"


def post(api: Client, path: str, body: Any, key: str = "one", **headers: str) -> Any:
    return api.post(
        P + path,
        json.dumps(body),
        content_type="application/json",
        headers={"Idempotency-Key": key, **headers},
    )


def draft_of(world: World, **changes: Any) -> tuple[str, dict[str, Any]]:
    return f"/products/{world.product.pk}/publishes", {
        "cluster_id": str(world.cluster.pk),
        "gateway_id": str(world.gateway.pk),
        **changes,
    }


def test_f16_the_second_gets_the_firsts_answer_and_nothing_is_done_twice(api: Client, world: World) -> None:
    path, body = draft_of(world)
    first, second = post(api, path, body), post(api, path, body)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    for name in ("Location", "ETag"):
        assert first.headers[name] == second.headers[name]
    assert ("Idempotent-Replayed" in first.headers, second.headers["Idempotent-Replayed"]) == (False, "true")
    assert ProductPublish.objects.count() == 1


def test_f16_a_verb_is_run_once_and_the_replay_tells_the_operation_as_it_was(
    api: Client, world: World
) -> None:
    publish = world.draft()
    path = f"/product-publishes/{publish.pk}/publish"
    first = post(api, path, {"note": "v2"})
    world.everybody_confirms()
    second = post(api, path, {"note": "v2"})
    assert (second.status_code, second.headers["Location"], second.content) == (
        202,
        first.headers["Location"],
        first.content,
    )
    assert Operation.objects.count() == 1


@pytest.mark.parametrize("change", ["body", "path", "role"])
def test_f16_another_request_under_the_key_is_422(api: Client, world: World, change: str) -> None:
    first, second = (
        f"/product-publishes/{world.draft(hostname_base=host).pk}/publish"
        for host in ("a.localhost", "b.localhost")
    )
    post(api, first, {"note": "x"})
    refused = {
        "body": lambda: post(api, first, {"note": "y"}),
        "path": lambda: post(api, second, {"note": "x"}),
        "role": lambda: post(client_for(world, Role.VIEWER), first, {"note": "x"}),
    }[change]()
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert Operation.objects.count() == 1


def test_another_tenants_keys_are_another_matter(
    api: Client, stranger: Client, world: World, other: World
) -> None:
    mine, theirs = post(api, *draft_of(world)), post(stranger, *draft_of(other))
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.json()["id"] != theirs.json()["id"]


def test_a_refusal_frees_the_key(api: Client, world: World) -> None:
    path = f"/product-publishes/{world.draft().pk}/publish"
    world.cluster.maintenance = True
    world.cluster.save(update_fields=["maintenance"])
    assert post(api, path, {}).status_code == 409
    assert not IdempotencyKey.objects.exists()
    world.cluster.maintenance = False
    world.cluster.save(update_fields=["maintenance"])
    assert post(api, path, {}).status_code == 202


def test_while_the_first_is_being_worked_on_the_second_is_409(api: Client, world: World) -> None:
    path, body = draft_of(world)
    post(api, path, body)
    IdempotencyKey.objects.update(status=None, claimed_at=timezone.now())
    busy = post(api, path, body)
    assert (busy.status_code, busy.json()["code"], busy.headers["Retry-After"]) == (
        409,
        "idempotency_in_progress",
        "1",
    )
    assert ProductPublish.objects.count() == 1


def test_a_request_that_broke_is_tried_again_at_once_and_makes_nothing_twice(
    api: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.raise_request_exception = False

    def broken(*_args: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("publishes.api.publishes.detail", broken)
        assert post(api, *draft_of(world)).status_code == 500
    assert not ProductPublish.objects.exists()
    assert post(api, *draft_of(world)).status_code == 201
    assert ProductPublish.objects.count() == 1


@pytest.mark.parametrize("key", ["", " ", "two words", "x" * 256, "schlüssel"])
def test_what_cannot_be_a_key_is_400(api: Client, world: World, key: str) -> None:
    refused = post(api, *draft_of(world), key=key)
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_idempotency_key")
    assert not ProductPublish.objects.exists()


def test_after_24_hours_a_key_begins_anew_and_the_sweep_forgets_it(api: Client, world: World) -> None:
    path, body = draft_of(world)
    first = post(api, path, body)
    IdempotencyKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    second = post(api, path, body)
    assert first.json()["id"] != second.json()["id"]
    forget_old_keys()
    assert IdempotencyKey.objects.count() == 1
    IdempotencyKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    forget_old_keys()
    assert not IdempotencyKey.objects.exists()


def test_a_secret_is_never_kept_and_never_said_twice(world: World) -> None:
    owner = client_for(world, Role.OWNER)
    first = post(owner, "/api-tokens", {"name": "ci", "role": "developer"})
    assert first.status_code == 201
    second = post(owner, "/api-tokens", {"name": "ci", "role": "developer"})
    assert (second.status_code, second.json()["code"]) == (409, "shown_once")
    assert first.json()["token"] not in str(IdempotencyKey.objects.values().get())
    assert ApiToken.objects.filter(name="ci").count() == 1


def test_get_put_and_delete_take_no_notice_of_a_key(api: Client, world: World) -> None:
    publish = world.draft()
    path = f"{P}/product-publishes/{publish.pk}"
    for method, body in (("GET", ""), ("PUT", "{}"), ("DELETE", "")):
        assert (
            api.generic(
                method, path, body, content_type="application/json", headers={"Idempotency-Key": "k"}
            ).status_code
            < 300
        )
    assert not IdempotencyKey.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_f16_of_ten_at_once_one_is_done(transactional_db: None, world: World) -> None:
    publish = world.draft()
    answers: list[Any] = []
    start = threading.Barrier(10)
    clients = [client_for(world) for _ in range(10)]

    def send(caller: Client) -> None:
        start.wait()
        answers.append(post(caller, f"/product-publishes/{publish.pk}/publish", {}))
        connection.close()

    threads = [threading.Thread(target=send, args=(caller,)) for caller in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    accepted = [answer for answer in answers if answer.status_code == 202]
    assert {answer.content for answer in accepted} == {accepted[0].content}
    assert {answer.json()["code"] for answer in answers if answer.status_code != 202} <= {
        "idempotency_in_progress"
    }
    assert Operation.objects.count() == 1
    with pytest.raises(Exception, match="operation_open"):
        publishing.request_publish(world.actor, publish.pk)
