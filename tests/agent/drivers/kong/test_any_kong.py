"""What holds for any Kong: the double always, and a real one at KONG_ADMIN_URL and KONG_PROXY_URL.

Asks and writes by HTTP alone, knows nothing of what stands behind, and destroys nothing that is not ours. The
real Kong has to reach this machine at KONG_UPSTREAM_HOST (127.0.0.1 when not set).
"""

import hashlib
import json
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import fence
from agent.drivers.base import ShownState
from agent.drivers.kong import node
from agent.drivers.kong.admin_api import Admin
from agent.drivers.kong.driver import KongDriver
from agent.drivers.kong.entities import PATHS
from agent.drivers.kong.setup import KongSetup
from agent.protocol.spec import Route, Service, Spec, Upstream
from tests.agent import issuer
from tests.agent.doubles import Upstreams, absent, live, make_service, until, withdrawn
from tests.agent.drivers.kong.gateway import changed, key, route, with_keys, with_tokens
from tests.agent.drivers.kong.test_same_routing import TABLES, outcome_of
from tests.agent.gateway import Answer, Memory, ask
from tests.doubles.kong.node import Kong

UPSTREAM_HOST = os.environ.get("KONG_UPSTREAM_HOST", "127.0.0.1")
REAL = (os.environ.get("KONG_ADMIN_URL", ""), os.environ.get("KONG_PROXY_URL", ""))
KONGS = [
    "double",
    "double without a database",
    *([pytest.param("real", marks=[pytest.mark.real_kong, pytest.mark.timeout(600)])] if all(REAL) else []),
]


@dataclass
class AnyKong:
    """A Kong of which nothing is known but its two URLs, and whether it has its database for itself."""

    admin_url: str
    proxy_url: str
    alone: str = "1"

    def __post_init__(self) -> None:
        options = {"admin_url": self.admin_url, "proxy_url": self.proxy_url, "alone": self.alone}
        self.driver: KongDriver = KongSetup().create(Path(), options, node="test")
        self.memory = Memory(
            self.driver, pinned=tuple(str(address) for address in fence.resolve(UPSTREAM_HOST, 0))
        )

    def publish(self, *specs: Spec) -> None:
        assert self.memory.apply(*specs).refused == {}
        for spec in specs:
            self.driver.verify(self.memory.good[spec.publish_id])

    def ask(
        self, host: str, path: str = "/", *, method: str = "GET", headers: dict[str, str] | None = None
    ) -> Answer:
        parts = urlsplit(self.proxy_url)
        return ask(f"{parts.hostname}:{parts.port or 80}", host, path, method=method, headers=headers)

    def entities(self) -> list[tuple[str, dict[str, Any]]]:
        return [
            (kind, entity)
            for kind, listed in Admin(self.admin_url).listed(PATHS, tagged=False)
            for entity in listed
        ]

    def foreign(self) -> str:
        """A hash over everything that is not ours."""
        foreign_entities = sorted(
            json.dumps([kind, entity], sort_keys=True)
            for kind, entity in self.entities()
            if "imp" not in (entity.get("tags") or ())
        )
        return hashlib.sha256("\n".join(foreign_entities).encode()).hexdigest()

    def own_kinds(self, *specs: Spec) -> list[str]:
        tags = {f"imp-publish:{spec.publish_id}" for spec in specs}
        return [kind for kind, entity in self.entities() if tags & set(entity.get("tags") or ())]


@pytest.fixture(params=KONGS)
def kong(request: pytest.FixtureRequest) -> Iterator[AnyKong]:
    if request.param == "real":
        yield from _watched(AnyKong(*REAL, alone=os.environ.get("KONG_ALONE", "")))
        return
    double = Kong(database="off" if "without" in request.param else "postgres").start()
    yield from _watched(AnyKong(double.admin_url, double.proxy_url))
    double.stop()


def _watched(kong: AnyKong) -> Iterator[AnyKong]:
    """Whatever a test did, it takes its publishes back, and others' entities are as they were."""
    before = kong.foreign()
    yield kong
    leftovers = [
        absent(pinned_spec.spec, generation=pinned_spec.spec.generation + 1000)
        for pinned_spec in kong.memory.good.values()
    ]
    kong.memory.apply(*leftovers)
    assert kong.own_kinds(*leftovers) == []
    assert kong.foreign() == before


@pytest.fixture
def upstream() -> Iterator[Upstreams]:
    server = Upstreams()
    if UPSTREAM_HOST != "127.0.0.1":
        server.socket.close()
        server.socket = socket.create_server(("", server.port))
    yield server
    server.close()


def at(spec: Spec) -> Spec:
    """The spec with its upstreams where Kong reaches this machine."""
    services = [
        service.model_copy(update={"upstream": service.upstream.model_copy(update={"host": UPSTREAM_HOST})})
        for service in spec.services
    ]
    return spec.model_copy(update={"services": tuple(services)})


def test_the_node_says_what_it_is(kong: AnyKong) -> None:
    description = kong.driver.describe()
    assert (description.ok, description.error) == (True, "")
    assert description.version.startswith("3.")
    assert description.mode == node.read_node(Admin(kong.admin_url)).mode


def test_from_publish_to_removal(kong: AnyKong, upstream: Upstreams) -> None:
    spec = at(live(port=upstream.port))
    kong.publish(spec)
    assert upstream.requests == []
    assert kong.ask(spec.host, "/a/b?c=d").json["path"] == "/a/b?c=d"
    assert kong.memory.apply(spec).changes == 0
    assert kong.driver.observe().carried[spec.publish_id] == ShownState(generation=1, digest=spec.digest)
    kong.publish(withdrawn(spec, generation=2))
    assert [kong.ask(spec.host, path, method="POST").status for path in ("/", "/x")] == [410, 410]
    kong.publish(changed(spec, generation=3))
    assert kong.ask(spec.host).status == 200
    kong.publish(absent(spec, generation=4))
    assert kong.ask(spec.host).status == 404
    assert kong.own_kinds(spec) == []


def test_a_named_upstream_is_asked_by_its_name_and_nobody_looks_it_up(
    kong: AnyKong, upstream: Upstreams
) -> None:
    service = make_service(upstream.port, host="api.example.invalid")
    spec = live(services=(service,))
    kong.publish(spec)
    headers = {
        name.lower(): value
        for name, value in kong.ask(spec.host, headers={"imp-consumer": "root"}).json["headers"].items()
    }
    assert headers["host"] == f"api.example.invalid:{upstream.port}"
    assert "imp-consumer" not in headers


def test_who_may_not_pass_reads_a_problem(kong: AnyKong, upstream: Upstreams) -> None:
    spec = at(with_keys(upstream.port, key("one", f"key-{os.getpid()}-three")))
    kong.publish(spec)
    for headers in ({}, {"apikey": "wrong"}):
        answer = kong.ask(spec.host, headers=headers)
        assert (answer.status, answer.json["code"]) == (401, "unauthenticated")
        assert answer.header("content-type") == ["application/problem+json; charset=utf-8"]
        assert answer.header("www-authenticate") == [f'Key realm="{spec.host}", header="apikey"']


def test_keys_let_in_and_nobody_else(kong: AnyKong, upstream: Upstreams) -> None:
    spec = at(with_keys(upstream.port, key("one", f"key-{os.getpid()}-one")))
    kong.publish(spec)
    assert kong.ask(spec.host).status == 401
    headers = {
        name.lower(): value
        for name, value in kong.ask(spec.host, headers={"apikey": f"key-{os.getpid()}-one"})
        .json["headers"]
        .items()
    }
    assert headers["imp-consumer"] == "one"
    assert "apikey" not in headers


def test_tokens_let_in_by_audience_and_scope(kong: AnyKong, upstream: Upstreams) -> None:
    signer = issuer.rsa(f"imp-test-{os.getpid()}")
    spec = at(with_tokens(upstream.port, signer))
    kong.publish(spec)
    tokens = {
        200: issuer.token(signer),
        401: issuer.token(signer, iss="https://other.example"),
        403: issuer.token(signer, scope="read"),
    }
    for status, token in tokens.items():
        assert kong.ask(spec.host, headers={"Authorization": f"Bearer {token}"}).status == status
    assert (
        kong.ask(spec.host, headers={"Authorization": f"Bearer {issuer.token(signer, lasts_s=-10)}"}).status
        == 401
    )


def test_it_is_never_open_for_a_moment(kong: AnyKong, upstream: Upstreams) -> None:
    spec = at(with_keys(upstream.port, key("one", f"key-{os.getpid()}-two")))
    tokens = changed(spec, generation=4, auth=with_tokens(9, issuer.rsa(f"imp-test-{os.getpid()}")).auth)
    answers: Counter[int] = Counter()
    stop = threading.Event()

    def poll() -> None:
        while not stop.is_set():
            answers[kong.ask(spec.host, "/x").status] += 1

    def has_answered(times: int) -> bool:
        return answers.total() >= times

    poller = threading.Thread(target=poll)
    poller.start()
    try:
        for step in (
            spec,
            withdrawn(spec, generation=2),
            changed(spec, generation=3),
            tokens,
            absent(spec, generation=5),
        ):
            before = answers.total()
            kong.publish(step)
            # The first answer may be to a request from before; the second is to one that came meanwhile.
            assert answers.total() >= before + 2
            until(partial(has_answered, before + 12), within_s=60, description="answers after the step")
    finally:
        stop.set()
        poller.join()
    assert answers[200] == 0
    assert upstream.requests == []


@pytest.mark.parametrize("name", TABLES)
def test_the_routing_table_holds(kong: AnyKong, name: str) -> None:
    servers = {label: Upstreams(label) for label in ("one", "two", "three")}
    table, cases = TABLES[name]
    services = tuple(
        _service(
            servers[label], base, [route(path, *methods, strip=strip) for path, methods, strip in routes]
        )
        for label, base, routes in table
    )
    spec = live(services=services)
    kong.publish(spec)
    wrong = {
        (method, path): (actual, expected)
        for method, path, expected in cases
        if (actual := outcome_of(kong.ask(spec.host, path, method=method))) != expected
    }
    for server in servers.values():
        server.close()
    assert wrong == {}


def _service(server: Upstreams, base: str, routes: list[Route]) -> Service:
    upstream = Upstream(scheme="http", host=UPSTREAM_HOST, port=server.port, path=base)
    return Service(id=routes[0].id, name="sample", upstream=upstream, routes=tuple(routes))
