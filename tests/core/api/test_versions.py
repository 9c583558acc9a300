"""ETag and If-Match: a change is refused when the world moved since it was looked at."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.test import Client

import gateways.api
import products.api.api_services
import products.api.products
import publishes.api.publishes
from core.api import versions
from gateways.models import Listener
from products.models import ApiService
from publishes.models import ProductPublish
from tests.api_clients import client_for
from tests.world import World

P = "/api/v1/provider"


def put(api: Client, publish: ProductPublish, body: Any, **headers: str) -> Any:
    return api.put(
        f"{P}/product-publishes/{publish.pk}",
        json.dumps(body),
        content_type="application/json",
        headers=headers,
    )


def test_a_change_on_what_was_seen_passes_and_on_what_moved_is_412(api: Client, world: World) -> None:
    publish = world.draft()
    etag = api.get(f"{P}/product-publishes/{publish.pk}").headers["ETag"]
    assert api.get(f"{P}/product-publishes/{publish.pk}").headers["ETag"] == etag
    changed = put(api, publish, {"environment": "stage"}, **{"If-Match": etag})
    assert (changed.status_code, changed.headers["ETag"] != etag) == (200, True)
    refused = put(api, publish, {"environment": "prod"}, **{"If-Match": etag})
    assert (refused.status_code, refused.json()["code"]) == (412, "changed_meanwhile")
    publish.refresh_from_db()
    assert publish.environment == "stage"
    assert (
        put(api, publish, {"environment": "prod"}, **{"If-Match": changed.headers["ETag"]}).status_code == 200
    )


@pytest.mark.parametrize(("if_match", "status"), [("*", 200), ('"other"', 412), ('W/"weak"', 412), ("", 412)])
def test_if_match_names_versions(api: Client, world: World, if_match: str, status: int) -> None:
    assert put(api, world.draft(), {"environment": "stage"}, **{"If-Match": if_match}).status_code == status


def test_one_of_several_versions_is_enough_and_none_is_needed(api: Client, world: World) -> None:
    publish = world.draft()
    etag = api.get(f"{P}/product-publishes/{publish.pk}").headers["ETag"]
    assert put(api, publish, {"environment": "stage"}, **{"If-Match": f'"other", {etag}'}).status_code == 200
    assert put(api, publish, {"environment": "prod"}).status_code == 200


def test_what_is_not_editable_says_so_before_its_version(api: Client, world: World) -> None:
    refused = put(api, world.published(), {"environment": "stage"}, **{"If-Match": '"other"'})
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A record that PUT changes: its URL, a field per person, and the check before the write."""

    path: Callable[[World], str]
    mine: dict[str, Any]
    theirs: dict[str, Any]
    checked_in: Any
    checked_by: str


def listener(world: World) -> Listener:
    return Listener.objects.create(gateway=world.gateway, name="http-80", port=80, protocol="HTTP")


RESOURCES = {
    "publish": Resource(
        path=lambda world: f"{P}/product-publishes/{world.draft().pk}",
        mine={"environment": "stage"},
        theirs={"visibility": "private"},
        checked_in=publishes.api.publishes,
        checked_by="_settings",
    ),
    "product": Resource(
        path=lambda world: f"{P}/products/{world.product.pk}",
        mine={"version": "9.0"},
        theirs={"description": "Theirs"},
        checked_in=products.api.products,
        checked_by="checked_product",
    ),
    "service": Resource(
        path=lambda _world: f"{P}/api-services/{ApiService.objects.get(name='Billing Service').pk}",
        mine={"description": "Mine"},
        theirs={"upstream_url": "http://127.0.0.1:9999"},
        checked_in=products.api.api_services,
        checked_by="checked_service",
    ),
    "gateway": Resource(
        path=lambda world: f"{P}/gateways/{listener(world).gateway_id}",
        mine={"name": "mine"},
        theirs={"listeners": [{"port": 8443, "protocol": "HTTPS", "name": "theirs"}]},
        checked_in=gateways.api,
        checked_by="checked_gateway",
    ),
}


@pytest.fixture(params=RESOURCES)
def resource(request: pytest.FixtureRequest) -> Resource:
    return RESOURCES[request.param]


def send(api: Client, path: str, body: Any, **headers: str) -> Any:
    return api.put(path, json.dumps(body), content_type="application/json", headers=headers)


def between(
    monkeypatch: pytest.MonkeyPatch, resource: Resource, do: Callable[[], object], *, times: int = 1
) -> None:
    """Do something while a change is under way: it was read and checked, and is not written yet."""
    turns, check = iter(range(times)), getattr(resource.checked_in, resource.checked_by)

    def checked(*args: Any, **kwargs: Any) -> Any:
        result = check(*args, **kwargs)
        if next(turns, None) is not None:
            with monkeypatch.context() as patch:
                patch.setattr(resource.checked_in, resource.checked_by, check)
                do()
        return result

    monkeypatch.setattr(resource.checked_in, resource.checked_by, checked)


def test_what_a_put_leaves_out_is_what_somebody_else_has_just_written(
    api: Client, world: World, resource: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = resource.path(world), client_for(world)
    theirs: list[Any] = []
    between(monkeypatch, resource, lambda: theirs.append(send(other, path, resource.theirs)))
    answer = send(api, path, resource.mine)
    assert [answer.status_code, *(their_answer.status_code for their_answer in theirs)] == [200, 200]
    for response in (answer, api.get(path)):
        assert response.json().items() >= (resource.mine | resource.theirs).items()
    assert api.get(path).headers["ETag"] == answer.headers["ETag"]


def test_with_if_match_what_somebody_else_has_just_written_is_412_and_stays(
    api: Client, world: World, resource: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = resource.path(world), client_for(world)
    before = api.get(path)
    between(monkeypatch, resource, lambda: send(other, path, resource.theirs))
    refused = send(api, path, resource.mine, **{"If-Match": before.headers["ETag"]})
    assert (refused.status_code, refused.json()["code"]) == (412, "changed_meanwhile")
    now = api.get(path).json()
    assert now.items() >= resource.theirs.items()
    assert {name: now[name] for name in resource.mine} == {
        name: before.json()[name] for name in resource.mine
    }


def test_what_others_change_again_and_again_is_412_in_the_end(
    api: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    product, other = RESOURCES["product"], client_for(world)
    path = product.path(world)
    numbers = iter(range(100))
    between(
        monkeypatch, product, lambda: send(other, path, {"description": f"Theirs {next(numbers)}"}), times=100
    )
    refused = send(api, path, product.mine, **{"If-Match": "*"})
    assert (refused.status_code, refused.json()["code"]) == (412, "changed_meanwhile")
    assert (
        api.get(path).json().items()
        >= {"version": "2.0", "description": f"Theirs {versions.TRIES - 1}"}.items()
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_round", range(5))
def test_of_two_puts_at_once_neither_is_lost(transactional_db: None, world: World, _round: int) -> None:
    path, start = f"{P}/products/{world.product.pk}", Barrier(2)

    def change(api: Client, body: dict[str, str]) -> int:
        try:
            start.wait(10)
            return int(send(api, path, body).status_code)
        finally:
            connection.close()

    bodies = {"version": "9.0"}, {"description": "Theirs"}
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(change, client_for(world), body) for body in bodies]
        assert [answer.result(30) for answer in answers] == [200, 200]
    world.product.refresh_from_db()
    assert (world.product.version, world.product.description) == ("9.0", "Theirs")
