"""An object is used at the moment when somebody deletes it: whoever comes second waits, and is refused."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event
from time import monotonic, sleep
from typing import NamedTuple

import pytest
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client

from clusters.models import Cluster
from core.problems import Invalid, NotFound, Problem
from gateways import services as gateways
from gateways.errors import GatewayInUse
from gateways.models import Gateway, GatewayCluster
from products.catalogue import products
from products.errors import InUse
from publishes.errors import ProductNotActive
from publishes.models import ProductPublish
from publishes.verbs import drafts
from tenants.actors import Role
from tenants.tokens import create_api_token
from tests.world import World

pytestmark = pytest.mark.django_db(transaction=True)
Call = Callable[[World], object]
WAITS = (
    "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted"
    " AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
)


@pytest.fixture
def world(transactional_db: None, world: World) -> World:
    """The world without a test transaction, with a second gateway in its cluster, and an empty cluster."""
    GatewayCluster.objects.create(
        gateway=Gateway.objects.create(tenant=world.tenant, name="spare"), cluster=world.cluster
    )
    Cluster.objects.create(name="empty", region="kr-seoul", host_suffixes=["localhost"], open_to_all=True)
    return world


class Ends(NamedTuple):
    """The results of two calls; a refusal is returned, not raised."""

    first: object
    second: object


def overtaken(first: Callable[[], object], second: Callable[[], object]) -> Ends:
    """The first commits when the second, started before that commit, waits for it or is through."""
    is_done = Event()

    def run_first() -> object:
        with transaction.atomic():
            result = first()
            is_done.set()
            until = monotonic() + 10
            while not other.done() and not _somebody_waits_for_us() and monotonic() < until:
                sleep(0.01)
        return result

    def run_second() -> object:
        assert is_done.wait(timeout=10)
        return second()

    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(_answered, run_second)
        future = pool.submit(_answered, run_first)
        wait([future, other], timeout=30)
    return Ends(future.result(), other.result())


def _answered(call: Callable[[], object]) -> object:
    try:
        return call()
    except Problem as problem:
        return problem
    finally:
        connection.close()


def _somebody_waits_for_us() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(WAITS)
        return bool(cursor.fetchone()[0])


def spare(world: World) -> Gateway:
    return Gateway.objects.get(tenant=world.tenant, name="spare")


def make_draft(world: World) -> object:
    return drafts.create_publish(world.actor, world.product, settings=world.settings(gateway=spare(world)))


def move_draft(world: World) -> object:
    return drafts.update_publish(
        world.actor, ProductPublish.objects.get().pk, settings=world.settings(gateway=spare(world))
    )


def delete_spare(world: World) -> object:
    return gateways.delete_gateway(world.actor, spare(world).pk)


def take_spare_away(world: World) -> object:
    elsewhere = frozenset({Cluster.objects.get(name="empty").pk})
    fields = gateways.GatewayFields(
        name="spare", gateway_class="envoy", status="active", listeners=(), cluster_ids=elsewhere
    )
    return gateways.update_gateway(world.actor, spare(world).pk, fields=fields)


def end_product(world: World) -> object:
    products.deactivate(world.actor, world.product.pk)
    return products.delete_product(world.actor, world.product.pk)


PAIRS = [
    pytest.param(make_draft, delete_spare, id="a draft is made, the gateway is deleted"),
    pytest.param(move_draft, take_spare_away, id="a draft moves there, the gateway leaves the cluster"),
]


@pytest.mark.parametrize(("using", "taking"), PAIRS)
def test_a_gateway_that_a_draft_is_just_getting_stays(world: World, using: Call, taking: Call) -> None:
    if using is move_draft:
        world.draft()
    ends = overtaken(lambda: using(world), lambda: taking(world))
    assert isinstance(ends.first, ProductPublish)
    assert isinstance(ends.second, GatewayInUse if taking is delete_spare else Invalid)
    assert ProductPublish.objects.get().gateway == spare(world)
    assert spare(world).places.filter(cluster=world.cluster).exists()


@pytest.mark.parametrize(("using", "taking"), PAIRS)
def test_a_draft_does_not_get_a_gateway_that_is_just_going(world: World, using: Call, taking: Call) -> None:
    if using is move_draft:
        world.draft()
    rows = list(ProductPublish.objects.values_list("pk", "gateway__name"))
    ends = overtaken(lambda: taking(world), lambda: using(world))
    assert isinstance(ends.second, Invalid)
    assert list(ends.second.fields) == ["gateway"]
    assert list(ProductPublish.objects.values_list("pk", "gateway__name")) == rows


def test_a_draft_is_not_made_of_a_product_that_is_just_deactivated_or_deleted(world: World) -> None:
    ends = overtaken(lambda: products.deactivate(world.actor, world.product.pk), lambda: make_draft(world))
    assert isinstance(ends.second, ProductNotActive)
    ends = overtaken(
        lambda: products.delete_product(world.actor, world.product.pk), lambda: make_draft(world)
    )
    assert isinstance(ends.second, NotFound)
    assert not ProductPublish.objects.exists()


def test_a_product_that_is_just_getting_a_draft_is_not_deleted(world: World) -> None:
    ends = overtaken(lambda: make_draft(world), lambda: end_product(world))
    assert isinstance(ends.first, ProductPublish)
    assert isinstance(ends.second, InUse)
    assert ProductPublish.objects.get().product == world.product


def test_what_an_operator_removes_meanwhile_is_a_sentence_too(world: World) -> None:
    empty = Cluster.objects.get(name="empty")
    body = {
        "name": "late",
        "gateway_class": "envoy",
        "listeners": [{"port": 8080, "protocol": "HTTP"}],
        "clusters": [str(empty.pk)],
    }
    client = Client(
        headers={
            "Authorization": f"Bearer {create_api_token(world.tenant, name='test', role=Role.DEVELOPER)}"
        }
    )
    ends = overtaken(
        empty.delete, lambda: client.post("/api/v1/provider/gateways", body, content_type="application/json")
    )
    assert isinstance(ends.second, HttpResponse)
    assert (ends.second.status_code, json.loads(ends.second.content)["code"]) == (409, "removed_meanwhile")
    assert not Gateway.objects.filter(name="late").exists()
