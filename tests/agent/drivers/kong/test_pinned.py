"""Upstreams on Kong are the addresses that the agent checked, and no names.

Callers notice nothing of that.
"""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from agent.drivers.base import Desired
from agent.drivers.kong import auth, routing
from agent.protocol.spec import Spec
from tests.agent.doubles import Upstreams, live, make_service
from tests.agent.drivers.kong.gateway import Anywhere, Gateway
from tests.agent.gateway import Answer, hold
from tests.doubles.kong.exchange import Exchange
from tests.doubles.kong.lua import Sandbox
from tests.doubles.kong.pdk import Pdk

NAME = "api.example.invalid"


def named(port: int, *, scheme: str = "http") -> Spec:
    return live(services=(make_service(port, host=NAME, scheme=scheme),))


def upstream_header(answer: Answer, name: str) -> str:
    return str({header.lower(): value for header, value in answer.json["headers"].items()}[name])


@pytest.fixture
def moved_to(upstream: Upstreams) -> Iterator[Upstreams]:
    """Another one at the same port of another address."""
    server = Upstreams("moved", at=("127.0.0.2", upstream.port))
    yield server
    server.close()


def test_a_named_upstream_is_asked_at_its_checked_address_by_its_name(
    anywhere: Anywhere, upstream: Upstreams
) -> None:
    spec = named(upstream.port)
    anywhere.publish(spec)
    assert upstream_header(anywhere.ask(spec.host), "host") == f"{NAME}:{upstream.port}"


def test_kong_is_given_no_name(gateway: Gateway, upstream: Upstreams) -> None:
    gateway.publish(named(upstream.port))
    (service,) = gateway.kong.own("services")
    assert service["host"] == "127.0.0.1"
    assert f"imp-host:{NAME}:{upstream.port}" in service["tags"]


def test_a_moved_upstream_is_two_writes_and_callers_follow(
    db: Gateway, upstream: Upstreams, moved_to: Upstreams
) -> None:
    spec = named(upstream.port)
    db.publish(spec)
    db.kong.faults.clear()
    pinned_spec = hold(spec, pinned=("127.0.0.2",))
    assert db.driver.apply([Desired(wanted=pinned_spec, fallback=pinned_spec)]).changes == 2
    assert [call.steps[0] for call in db.kong.faults.writes()] == ["services", "routes"]
    answer = db.ask(spec.host)
    assert (answer.json["upstream"], upstream_header(answer, "host")) == (
        moved_to.name,
        f"{NAME}:{upstream.port}",
    )
    assert db.driver.observe().carried[spec.publish_id].digest == spec.digest


def test_without_our_code_kong_still_asks_nobody_but_the_address(db: Gateway, upstream: Upstreams) -> None:
    spec = named(upstream.port)
    db.publish(spec)
    code = next(entity for entity in db.kong.own("plugins") if entity["name"] == "post-function")
    db.admin("DELETE", f"/plugins/{code['id']}")
    assert upstream_header(db.ask(spec.host), "host") == f"127.0.0.1:{upstream.port}"
    assert db.driver.observe().carried[spec.publish_id].digest == ""
    assert db.memory.apply(spec).changes == 1
    assert upstream_header(db.ask(spec.host), "host") == f"{NAME}:{upstream.port}"


@pytest.mark.parametrize(
    ("pinned", "host", "spread"),
    [
        (("10.0.0.1",), "10.0.0.1", []),
        (("10.0.0.1", "10.0.0.2"), "10.0.0.1", ["10.0.0.1", "10.0.0.2"]),
        (("10.0.0.1", "2001:db8::1"), "10.0.0.1", []),
        (("2001:db8::1", "2001:db8::2"), "[2001:db8::1]", ["[2001:db8::1]", "[2001:db8::2]"]),
    ],
)
def test_several_addresses_are_all_asked(pinned: tuple[str, ...], host: str, spread: list[str]) -> None:
    spec = named(8443, scheme="https")
    service = next(
        entity
        for entity in routing.live_entities(hold(spec, pinned=pinned), routing.Options())
        if entity.kind == "services"
    )
    assert service.body["host"] == host
    (code,) = auth.guards(spec, "service", uuid4())
    sandbox, targets = Sandbox(), set[tuple[str, int] | None]()
    for _ in range(40):
        exchange = Exchange(
            id="1", method="GET", raw_path="/", path="/", query="", host="x", headers=[], body=b""
        )
        sandbox.run(code.body["config"]["access"][0], Pdk(exchange=exchange, service=service.body))
        targets.add(exchange.target)
        # The Host header is also the name that TLS is spoken with, and its port is no part of that.
        assert exchange.upstream_host == f"{NAME}:8443"
    assert targets == ({(entity, 8443) for entity in spread} if spread else {None})
