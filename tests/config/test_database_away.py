"""While the database is unavailable, answers say so in time; afterwards everything works again."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from django.db import OperationalError, connection
from psycopg import errors

from core.api import idempotency
from core.models import IdempotencyKey
from products.catalogue import products
from tenants.actors import Role
from tests.api_clients import client_for
from tests.config.server import Server, running
from tests.faults.hole import Hole
from tests.pages import signed_in
from tests.world import World

COOKIE = {"Cookie": "sessionid=0123456789abcdefghijklmnopqrstuv"}
BEARER = {"Authorization": "Bearer impg_somebodys"}
PRODUCTS = "/api/v1/provider/products"


@pytest.fixture(scope="module")
def hole() -> Iterator[Hole]:
    parts = urlsplit(os.environ["DATABASE_URL"])
    opened = Hole("database", target=int(parts.port or 0)).open()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def server(hole: Hole, tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> Iterator[Server]:
    """The web, with the tests' database behind the hole."""
    parts = urlsplit(os.environ["DATABASE_URL"])
    name = connection.settings_dict["NAME"]
    url = parts._replace(
        netloc=f"{parts.username}:{parts.password}@127.0.0.1:{hole.port}", path=f"/{name}"
    ).geturl()
    with running(Path(tmp_path_factory.mktemp("web")), DATABASE_URL=url, DATABASE_DEADLINE_S="2") as started:
        yield started


def timed_get(server: Server, path: str, headers: dict[str, str]) -> tuple[int, float, httpx2.Response]:
    began = time.monotonic()
    answer = server.client.get(path, headers=headers)
    return answer.status_code, time.monotonic() - began, answer


@pytest.mark.parametrize("weather", ["refuses", "resets", "mute"])
def test_whoever_asks_is_told_503_in_time_and_nothing_else_stands_still(
    server: Server, hole: Hole, weather: str
) -> None:
    assert timed_get(server, "/readyz", COOKIE)[2].json()["database"] == "ok"
    asks = [
        ("/readyz", COOKIE),
        ("/provider/products", COOKIE),
        (PRODUCTS, BEARER),
        (PRODUCTS, BEARER),
        ("/readyz", {}),
    ]
    with hole.having(**{weather: True}), ThreadPoolExecutor(len(asks)) as pool:
        answers = list(pool.map(lambda ask: timed_get(server, *ask), asks))
        assert {status for status, _took, _answer in answers} == {503}
        assert max(took for _status, took, _answer in answers) < 15
        assert timed_get(server, "/livez", COOKIE)[0] == 200
    assert timed_get(server, "/readyz", COOKIE)[2].json()["database"] == "ok"


def test_a_key_whose_request_met_a_restart_is_free_again_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = client_for(world, Role.OWNER)
    request: dict[str, Any] = {
        "data": {"name": "Once", "version": "1.0"},
        "content_type": "application/json",
        "headers": {"Idempotency-Key": "k1"},
    }
    with monkeypatch.context() as patch:

        def lost(*_args: object, **_more: object) -> None:
            raise OperationalError("server closed the connection unexpectedly")

        patch.setattr(products, "create_product", lost)
        patch.setattr(idempotency, "_delete", lost)
        assert owner.post(PRODUCTS, **request).status_code == 503
    assert IdempotencyKey.objects.filter(key="k1", status=None).exists()
    assert owner.post(PRODUCTS, **request).status_code == 201


def failing(times: int, cause: Exception, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Making a product fails so often; the list counts the tries."""
    original, tries = products.create_product, list[int]()

    def create(*args: Any, **values: Any) -> Any:
        tries.append(len(tries))
        if len(tries) <= times:
            raise OperationalError from cause
        return original(*args, **values)

    monkeypatch.setattr(products, "create_product", create)
    return tries


@pytest.mark.parametrize(
    "cause", [errors.DeadlockDetected(), errors.LockNotAvailable(), errors.SerializationFailure()]
)
def test_who_lost_to_another_is_tried_once_more(
    world: World, monkeypatch: pytest.MonkeyPatch, cause: Exception
) -> None:
    tries = failing(1, cause, monkeypatch)
    owner = client_for(world, Role.OWNER)
    assert (
        owner.post(PRODUCTS, {"name": "Once", "version": "1.0"}, content_type="application/json").status_code
        == 201
    )
    assert len(tries) == 2


@pytest.mark.parametrize(
    ("cause", "code", "expected_tries"),
    [
        (errors.DeadlockDetected(), "contended", 2),
        (errors.LockNotAvailable(), "contended", 2),
        (errors.QueryCanceled(), "took_too_long", 1),
    ],
)
def test_what_is_no_outage_is_not_called_one(
    world: World, monkeypatch: pytest.MonkeyPatch, cause: Exception, code: str, expected_tries: int
) -> None:
    tries = failing(9, cause, monkeypatch)
    owner = client_for(world, Role.OWNER)
    refused = owner.post(PRODUCTS, {"name": "Once", "version": "1.0"}, content_type="application/json")
    assert (refused.status_code, refused.json()["code"], len(tries)) == (503, code, expected_tries)
    assert refused.headers["Retry-After"] == "1"
    page = signed_in(world.user).post("/provider/products/new", {"name": "Once", "version": "1.0"})
    assert page.status_code == 503
    assert "cannot be reached" not in page.content.decode()


def test_who_a_request_is_from_is_logged_without_asking_the_database(
    world: World, django_assert_num_queries: Any
) -> None:
    browser = signed_in(world.user)
    with django_assert_num_queries(0):
        assert browser.get("/livez").status_code == 200
