"""One table of routing cases for every kind of gateway: a real Envoy and Kong route alike."""

from collections.abc import Iterator
from typing import Any

import pytest

from agent.protocol.spec import Service, Spec
from tests.agent.doubles import Upstreams, live, make_service, withdrawn
from tests.agent.drivers.kong.gateway import Anywhere, route
from tests.agent.gateway import Answer

Outcome = tuple[str, str] | int
"""Which upstream was asked for what, or the status of the gateway's own answer."""

MANY_ROUTES = (
    (
        "one",
        "",
        [
            ("/billing", ("GET", "POST"), True),
            ("/v1/items", ("GET",), False),
            ("/keep", (), False),
            ("/~tilde.v1+x", (), True),
        ],
    ),
    ("two", "/inner", [("/billing/special", (), True), ("/base", (), True), ("/kept", (), False)]),
    ("three", "/end/", [("/slash", (), True)]),
)
MANY_CASES: list[tuple[str, str, Outcome]] = [
    ("GET", "/billing", ("one", "/")),
    ("GET", "/billing/", ("one", "/")),
    ("POST", "/billing/x/y?q=1", ("one", "/x/y?q=1")),
    ("GET", "/billing?q=1", ("one", "/?q=1")),
    ("GET", "/billing//x", ("one", "/x")),
    ("DELETE", "/billing/x", 404),
    ("HEAD", "/billing/x", 404),
    ("GET", "/billings", 404),
    ("GET", "/Billing", 404),
    ("GET", "/x/billing", 404),
    ("GET", "/v1/items/3", ("one", "/v1/items/3")),
    ("GET", "/v1/items/", ("one", "/v1/items/")),
    ("POST", "/v1/items/3", 404),
    ("GET", "/v1", 404),
    ("GET", "/keep", ("one", "/keep")),
    ("PURGE", "/keep/a%20b?x=%2F", ("one", "/keep/a%20b?x=%2F")),
    ("GET", "/keep/%7Euser", ("one", "/keep/~user")),
    ("GET", "/keep/./a/../b", ("one", "/keep/b")),
    ("GET", "/~tilde.v1+x/a", ("one", "/a")),
    ("GET", "/~tildeXv1+x/a", 404),
    # Longer paths win over methods.
    ("GET", "/billing/special", ("two", "/inner")),
    ("GET", "/billing/special/", ("two", "/inner/")),
    ("DELETE", "/billing/special/x", ("two", "/inner/x")),
    ("PURGE", "/billing/special/x", ("two", "/inner/x")),
    ("GET", "/billing/specials", ("one", "/specials")),
    ("GET", "/base", ("two", "/inner")),
    ("GET", "/base/x", ("two", "/inner/x")),
    ("GET", "/kept", ("two", "/inner/kept")),
    ("GET", "/kept/x/", ("two", "/inner/kept/x/")),
    ("GET", "/slash", ("three", "/end")),
    ("GET", "/slash/x", ("three", "/end/x")),
    ("GET", "/billing/../v1/items", ("one", "/v1/items")),
    ("GET", "/", 404),
]
ROOT = (
    ("one", "", [("/", ("GET",), False)]),
    ("two", "/deep", [("/a/b", (), False), ("/a", ("POST",), True)]),
)
ROOT_CASES: list[tuple[str, str, Outcome]] = [
    ("GET", "/", ("one", "/")),
    ("GET", "/x/y", ("one", "/x/y")),
    ("POST", "/x", 404),
    ("GET", "/a/b", ("two", "/deep/a/b")),
    ("POST", "/a/b/c", ("two", "/deep/a/b/c")),
    ("POST", "/a/c", ("two", "/deep/c")),
    ("GET", "/a/c", ("one", "/a/c")),
]
BASE = (("one", "/base", [("/", (), False)]), ("two", "", [("/only", ("GET",), True)]))
BASE_CASES: list[tuple[str, str, Outcome]] = [
    ("GET", "/", ("one", "/base/")),
    ("GET", "/x", ("one", "/base/x")),
    ("DELETE", "/only", ("one", "/base/only")),
    ("GET", "/only", ("two", "/")),
]
TABLES = {"many": (MANY_ROUTES, MANY_CASES), "root": (ROOT, ROOT_CASES), "base": (BASE, BASE_CASES)}


@pytest.fixture
def upstreams() -> Iterator[dict[str, Upstreams]]:
    servers = {name: Upstreams(name) for name in ("one", "two", "three")}
    yield servers
    for server in servers.values():
        server.close()


def spec_of(table: Any, upstreams: dict[str, Upstreams]) -> Spec:
    def service(name: str, base: str, routes: Any) -> Service:
        routes = [route(path, *methods, strip=strip) for path, methods, strip in routes]
        return make_service(upstreams[name].port, routes=routes, path=base)

    return live(services=tuple(service(*row) for row in table))


def outcome_of(answer: Answer) -> Outcome:
    return (
        (answer.json["upstream"], answer.json["path"])
        if answer.status == 200 and answer.body
        else answer.status
    )


@pytest.mark.parametrize("name", TABLES)
def test_a_request_goes_where_the_table_says(
    anywhere: Anywhere, upstreams: dict[str, Upstreams], name: str
) -> None:
    memory, ask = anywhere.memory, anywhere.ask
    table, cases = TABLES[name]
    spec = spec_of(table, upstreams)
    assert memory.apply(spec).refused == {}
    wrong = {
        (method, path): (actual, expected)
        for method, path, expected in cases
        if (actual := outcome_of(ask(spec.host, path, method=method))) != expected
    }
    assert wrong == {}


def test_hosts_ports_and_our_own_answers(anywhere: Anywhere, upstreams: dict[str, Upstreams]) -> None:
    memory, ask = anywhere.memory, anywhere.ask
    spec = spec_of(MANY_ROUTES, upstreams)
    memory.apply(spec)
    assert outcome_of(ask(f"{spec.host}:8000", "/keep")) == ("one", "/keep")
    assert ask(f"x.{spec.host}", "/keep").status == 404
    for headers in ({}, {"X-Forwarded-Host": "other.example.com"}):
        upstream_headers = {
            name.lower(): value
            for name, value in ask(spec.host, "/keep", headers=headers).json["headers"].items()
        }
        assert (upstream_headers["host"], upstream_headers["x-forwarded-host"]) == (
            f"127.0.0.1:{upstreams['one'].port}",
            spec.host,
        ), headers
    missed = ask(spec.host, "/nothing")
    assert (missed.status, missed.json["code"], missed.header("content-type")) == (
        404,
        "no_route",
        ["application/problem+json; charset=utf-8"],
    )
    memory.apply(withdrawn(spec, generation=2))
    for path in ("/keep", "/nothing", "/"):
        refused = ask(spec.host, path, method="POST")
        assert (refused.status, refused.json["code"], refused.header("content-type")) == (
            410,
            "withdrawn",
            ["application/problem+json; charset=utf-8"],
        )
