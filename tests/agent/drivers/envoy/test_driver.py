"""The Envoy driver with a real Envoy and a real upstream: answers before, during and after each change."""

import socket
from typing import Any
from uuid import uuid4

import pytest

from agent.protocol.spec import ApiKey, Auth, AuthMode, Route
from tests.agent.doubles import Upstreams, absent, live, make_service, withdrawn
from tests.agent.gateway import Gateway, Memory, ask, hold

KEYS = Auth(
    mode=AuthMode.API_KEY,
    key_header="apikey",
    keys=(ApiKey(id=uuid4(), consumer="one", fingerprint="f", secret="right"),),
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def route(path: str, *methods: str, strip: bool = False) -> Route:
    return Route(id=uuid4(), path=path, methods=methods, strip_path=strip)


def test_a_publish_is_served_withdrawn_served_again_and_removed(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    spec = live(port=upstream.port)
    assert gateway.ask(spec.host).status == 404
    assert memory.apply(spec).changes == 2
    evidence = gateway.driver.verify(hold(spec))
    assert (evidence.probes, evidence.bursts) == (2 + 4, 1)  # each worker, and callers' connections
    assert upstream.requests == []
    assert gateway.ask(spec.host, "/a/b?c=d").json["path"] == "/a/b?c=d"
    assert memory.observe().carried[spec.publish_id].digest == spec.digest

    withdrawn_spec = withdrawn(spec, generation=2)
    memory.apply(withdrawn_spec)
    gateway.driver.verify(hold(withdrawn_spec))
    requests_before = len(upstream.requests)
    for method in METHODS:
        for path in ("/", "/a/b", "/.well-known/imp/x", f"/.well-known/imp/{spec.publish_id}/1"):
            answer = gateway.ask(spec.host, path, method=method)
            assert answer.status == 410, (method, path)
            assert answer.header("content-type") == ["application/problem+json; charset=utf-8"]
            assert answer.header("imp-generation") == ["2"]
            if method != "HEAD":
                assert answer.json["code"] == "withdrawn"
                assert (
                    answer.json["detail"] == "이 API는 제공이 중단되었습니다. / This API has been withdrawn."
                )
    assert len(upstream.requests) == requests_before

    again = live(spec.publish_id, generation=3, port=upstream.port)
    memory.apply(again)
    gateway.driver.verify(hold(again))
    assert gateway.ask(spec.host).status == 200

    removed = absent(spec, generation=4)
    memory.apply(removed)
    gateway.driver.verify(hold(removed, probe_host=spec.host))
    answer = gateway.ask(spec.host)
    assert (answer.status, answer.header("imp-generation")) == (404, [])
    assert memory.observe().carried == {}
    assert clusters_of(gateway) == []


def first_line(gateway: Gateway, request: str) -> str:
    host, _, port = gateway.proxy.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(request.encode())
        return connection.recv(1024).decode().split("\r\n")[0]


@pytest.mark.parametrize(
    "request_line",
    [
        "TRACE / HTTP/1.1",
        "PURGE /a HTTP/1.1",
        "GET http://{host}/a HTTP/1.1",
        "GET /a HTTP/1.0",
    ],
)
def test_unusual_requests_to_a_withdrawn_host_are_gone_too(
    gateway: Gateway, memory: Memory, request_line: str
) -> None:
    spec = live(generation=1)
    memory.apply(withdrawn(spec, generation=2))
    line = request_line.format(host=spec.host)
    assert first_line(gateway, f"{line}\r\nHost: {spec.host.upper()}.\r\n\r\n").endswith(" 410 Gone")


def test_markers_tell_the_generation_and_never_reach_the_upstream(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    spec = live(generation=7, port=upstream.port)
    memory.apply(spec)
    prefix = f"/.well-known/imp/{spec.publish_id}"
    right = gateway.ask(spec.host, f"{prefix}/7")
    assert (right.status, right.body, right.header("imp-generation")) == (200, b"7", ["7"])
    for path in (f"{prefix}/6", f"{prefix}/8", prefix, f"{prefix}/7/auth"):
        answer = gateway.ask(spec.host, path)
        assert (answer.status, answer.header("imp-generation")) == (404, ["7"]), path
    assert upstream.requests == []


def test_paths_methods_and_strip_path(gateway: Gateway, memory: Memory, upstream: Upstreams) -> None:
    second_upstream = Upstreams("two")
    first = make_service(
        upstream.port, routes=[route("/billing", "GET", "POST", strip=True), route("/v1/items", "GET")]
    )
    second = make_service(
        second_upstream.port,
        routes=[route("/billing/special", strip=True), route("/base", strip=True)],
        path="/inner",
    )
    spec = live(services=(first, second))
    memory.apply(spec)

    def upstream_path(method: str, path: str) -> Any:
        answer = gateway.ask(spec.host, path, method=method)
        return (
            (answer.json["upstream"], answer.json["path"])
            if answer.status == 200
            else (answer.status, answer.json["code"])
        )

    assert upstream_path("GET", "/billing") == ("one", "/")
    assert upstream_path("GET", "/billing/") == ("one", "/")
    assert upstream_path("POST", "/billing/x/y?q=1") == ("one", "/x/y?q=1")
    assert upstream_path("GET", "/billing?q=1") == ("one", "/?q=1")
    assert upstream_path("DELETE", "/billing/x") == (404, "no_route")
    assert upstream_path("GET", "/billings") == (404, "no_route")
    assert upstream_path("GET", "/v1/items/3") == ("one", "/v1/items/3")
    assert upstream_path("POST", "/v1/items/3") == (404, "no_route")
    assert upstream_path("DELETE", "/billing/special/x") == ("two", "/inner/x")
    assert upstream_path("GET", "/billing/special") == ("two", "/inner")
    assert upstream_path("GET", "/billing/specials") == ("one", "/specials")
    assert upstream_path("GET", "/base") == ("two", "/inner")
    assert upstream_path("GET", "/billing/../v1/items") == ("one", "/v1/items")
    assert upstream_path("GET", "/billing/..%2fsecret") == (404, "no_route")
    assert upstream_path("GET", "/") == (404, "no_route")
    second_upstream.close()


def test_the_upstream_hears_its_own_host_and_the_caller_s(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    spec = live(port=upstream.port)
    memory.apply(spec)
    headers = {
        name.lower(): value for name, value in gateway.ask(f"{spec.host}:8000").json["headers"].items()
    }
    assert headers["host"] == f"127.0.0.1:{upstream.port}"
    assert headers["x-forwarded-host"] == f"{spec.host}:8000"


def test_the_upstream_hears_nothing_that_callers_say_of_the_way_they_came(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    spec = live(port=upstream.port)
    memory.apply(spec)
    names = ("X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Real-IP", "X-Forwarded-Proto")
    headers = gateway.ask(spec.host, headers=dict.fromkeys(names, "pretended")).json["headers"]
    assert "pretended" not in str(headers)


@pytest.mark.parametrize("written", ["{}", "{}:{port}", "{}.", "{}.:{port}"])
def test_a_host_is_found_in_any_letters_with_a_port_or_a_dot(
    gateway: Gateway, memory: Memory, upstream: Upstreams, written: str
) -> None:
    """Whoever calls it with capitals meets the same routes, and the same auth."""
    spec, closed = live(port=upstream.port), live(port=upstream.port, auth=KEYS)
    memory.apply(spec, closed)
    port = gateway.proxy.rpartition(":")[2]
    for case in (str.lower, str.upper, str.title):
        hosts = [written.format(case(called.host), port=port) for called in (spec, closed)]
        assert [gateway.ask(host, "/x").status for host in hosts] == [200, 401]
        assert gateway.ask(hosts[1], "/x", headers={"apikey": "right"}).status == 200
        marker = f"/.well-known/imp/{closed.publish_id}/1"
        assert gateway.ask(hosts[1], marker).status == 200
        headers = {name.lower() for name in gateway.ask(hosts[0], "/x").json["headers"]}
        assert "imp-host" not in headers


def test_the_same_again_sends_nothing(gateway: Gateway, memory: Memory) -> None:
    spec = live()
    assert memory.apply(spec).changes == 2
    assert memory.apply(spec).changes == 0


def test_a_batch_of_many_changes_each_by_itself(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    specs = [live(port=upstream.port) for _ in range(50)]
    assert memory.apply(*specs).changes == 100
    assert {gateway.ask(spec.host).status for spec in specs} == {200}
    assert len(memory.observe().carried) == 50
    assert memory.apply(*[withdrawn(spec, generation=2) for spec in specs[:25]]).changes == 50
    assert [gateway.ask(spec.host).status for spec in specs] == [410] * 25 + [200] * 25
    assert len(clusters_of(gateway)) == 25


def clusters_of(gateway: Gateway) -> list[str]:
    """The publishes' clusters that Envoy itself names."""
    lines = ask(gateway.admin, gateway.admin, "/clusters").body.decode().splitlines()
    return sorted({line.partition("::")[0] for line in lines if line.startswith("imp:")})
