"""Idempotency keys of killed processes (F16): done work is done once, undone work by the next try."""

from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.utils import timezone

from agent.protocol.messages import Outcome
from core.api import idempotency
from core.models import IdempotencyKey
from gateways.models import Gateway
from products.api import schemas
from products.models import ApiService, Product
from publishes.models import Credential, Operation, ProductPublish, PublishEvent
from publishes.verbs import publishing, withdrawing
from tenants.actors import Role
from tenants.models import ApiToken
from tests.api_clients import client_for
from tests.core.api.test_idempotency import draft_of, post
from tests.publishes.callers.test_credentials import closed
from tests.world import World

PostCall = tuple[str, dict[str, Any]]


class Killed(BaseException):
    """The process is gone: nothing catches this."""


def of(publish: ProductPublish, verb: str, **body: str) -> PostCall:
    return f"/product-publishes/{publish.pk}/{verb}", body


def cancelling(world: World) -> PostCall:
    return f"/operations/{publishing.request_publish(world.actor, world.draft().pk).pk}/cancel", {}


def retrying(world: World, operation: Operation) -> PostCall:
    (waiting,) = world.agents[0].claim()
    world.agents[0].answer(waiting, Outcome.REFUSED, code="rejected", message="duplicate domain")
    world.everybody_confirms()
    return f"/operations/{operation.pk}/retry", {}


def product(world: World, verb: str, *, status: str) -> PostCall:
    Product.objects.filter(pk=world.product.pk).update(status=status)
    return f"/products/{world.product.pk}/{verb}", {}


POSTS: dict[str, Callable[[World], PostCall]] = {
    "draft": draft_of,
    "publish": lambda world: of(world.draft(), "publish", note="v2"),
    "withdraw": lambda world: of(world.published(), "withdraw", reason="over"),
    "cancel": cancelling,
    "retry of a publish": lambda world: retrying(
        world, publishing.request_publish(world.actor, world.draft().pk)
    ),
    "retry of a withdrawal": lambda world: retrying(
        world, withdrawing.request_withdraw(world.actor, world.published().pk, reason="over")
    ),
    "test key": lambda world: of(closed(world), "test-key"),
    "product": lambda _world: ("/products", {"name": "Twice", "version": "1.0"}),
    "activate": lambda world: product(world, "activate", status="draft"),
    "deactivate": lambda world: product(world, "deactivate", status="active"),
    "archive": lambda world: product(world, "archive", status="active"),
    "service": lambda _world: ("/api-services", {"name": "Twice", "upstream_url": "http://127.0.0.1:8080"}),
    "gateway": lambda world: (
        "/gateways",
        {"name": "twice", "listeners": [{"port": 80}], "clusters": [str(world.cluster.pk)]},
    ),
    "token": lambda _world: ("/api-tokens", {"name": "twice", "role": "developer"}),
}


@pytest.fixture
def owner(world: World) -> Client:
    return client_for(world, Role.OWNER)


@pytest.fixture(params=POSTS)
def post_call(request: pytest.FixtureRequest, world: World) -> PostCall:
    return POSTS[request.param](world)


def written(world: World) -> tuple[object, ...]:
    """All rows that a POST can write."""
    models = (Product, ApiService, Gateway, ProductPublish, Operation, PublishEvent, Credential, ApiToken)
    states = (
        Product.objects.get(pk=world.product.pk).status,
        sorted(Operation.objects.values_list("phase", flat=True)),
    )
    return (*(model._default_manager.count() for model in models), *states)


def forgotten_by_its_worker() -> None:
    """Age the claims of keys, so that their workers count as dead."""
    IdempotencyKey.objects.update(claimed_at=timezone.now() - timedelta(seconds=91))


def killed_after_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    def door(self: idempotency.IdempotencyMiddleware, request: HttpRequest) -> HttpResponse:
        self.get_response(request)
        raise Killed

    monkeypatch.setattr(idempotency.IdempotencyMiddleware, "__call__", door)


def test_every_post_is_among_these(api: Client) -> None:
    paths = api.get("/api/v1/openapi.json").json()["paths"]
    posts = {item["post"]["operationId"] for item in paths.values() if "post" in item}
    assert len(posts) == len({name.split(" of ")[0] for name in POSTS})


def test_f16_what_was_done_before_the_kill_is_told_and_not_done_again(
    owner: Client, world: World, post_call: PostCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, body = post_call
    before = written(world)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after_the_door(patch)
        post(owner, path, body)
    written_once = written(world)
    assert written_once != before
    forgotten_by_its_worker()
    answer = post(owner, path, body)
    if path.endswith(("test-key", "api-tokens")):
        assert (answer.status_code, answer.json()["code"]) == (409, "shown_once")
    else:
        assert (answer.status_code, answer.headers["Idempotent-Replayed"]) == (
            IdempotencyKey.objects.get().status,
            "true",
        )
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert written(world) == written_once


def test_f16_what_was_killed_half_way_left_nothing_and_is_done_by_the_next_try(
    owner: Client, world: World, post_call: PostCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, body = post_call
    before = written(world)

    def killed(*_args: object) -> None:
        assert written(world) != before  # the work is done, and not committed
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(idempotency, "_store", killed)
        post(owner, path, body)
    assert written(world) == before
    assert post(owner, path, body).json()["code"] == "idempotency_in_progress"
    forgotten_by_its_worker()
    answer = post(owner, path, body)
    assert answer.status_code in {200, 201, 202}
    assert "Idempotent-Replayed" not in answer.headers
    assert written(world) != before


def test_what_is_told_under_a_key_is_what_is_told_without_one(api: Client) -> None:
    with_key = post(api, "/products", {"name": "Once", "version": "1.0"})
    read = api.get(with_key.headers["Location"])
    assert with_key.content == read.content
    for name in ("Content-Type", "ETag"):
        assert with_key.headers[name] == read.headers[name]


@pytest.mark.django_db(transaction=True)
def test_who_was_slow_and_not_gone_does_nothing_when_another_try_has_taken_over(
    transactional_db: None, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, fast = client_for(world), client_for(world)
    at_work, answers, shape = Event(), {}, schemas.ProductOut.of
    taken_over = Event()

    def waits(product: Product) -> schemas.ProductOut:
        if not at_work.is_set():
            at_work.set()
            assert taken_over.wait(20)
        return shape(product)

    def send(name: str, caller: Client) -> None:
        answers[name] = post(caller, "/products", {"name": "Twice", "version": "1.0"})
        connection.close()

    monkeypatch.setattr("products.api.products.ProductOut.of", waits)
    first = Thread(target=send, args=("slow", slow))
    first.start()
    assert at_work.wait(20)
    forgotten_by_its_worker()
    send("fast", fast)
    taken_over.set()
    first.join(20)
    assert (answers["fast"].status_code, answers["slow"].status_code) == (201, 409)
    assert answers["slow"].json()["code"] == "idempotency_in_progress"
    assert str(Product.objects.get(name="Twice").pk) == answers["fast"].json()["id"]
    replayed = post(slow, "/products", {"name": "Twice", "version": "1.0"})
    assert (replayed.content, replayed.headers["Idempotent-Replayed"]) == (answers["fast"].content, "true")
