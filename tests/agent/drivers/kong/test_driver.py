"""The Kong driver in both modes: what callers meet, before, during and after each change."""

import pytest

from agent.drivers.base import ShownState
from tests.agent.doubles import Upstreams, absent, live, withdrawn
from tests.agent.drivers.kong.gateway import Gateway, changed, driver_of
from tests.agent.gateway import hold

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE")


def test_a_publish_is_served_withdrawn_served_again_and_removed(
    gateway: Gateway, upstream: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.drivers.proof.CONNECTIONS", 24)
    spec = live(port=upstream.port)
    assert gateway.ask(spec.host).status == 404
    (evidence,) = gateway.publish(spec)
    assert (evidence.probes, evidence.bursts) == (48, 2)
    assert upstream.requests == []
    assert gateway.ask(spec.host, "/a/b?c=d").json["path"] == "/a/b?c=d"
    assert gateway.driver.observe().carried == {spec.publish_id: ShownState(generation=1, digest=spec.digest)}

    withdrawn_spec = withdrawn(spec, generation=2)
    gateway.publish(withdrawn_spec)
    requests_before = len(upstream.requests)
    for method in METHODS:
        for path in (
            "/",
            "/a/b",
            "/.well-known/imp/x",
            f"/.well-known/imp/{spec.publish_id}",
            f"/.well-known/imp/{spec.publish_id}/1",
        ):
            answer = gateway.ask(spec.host, path, method=method)
            assert answer.status == 410, (method, path)
            assert answer.header("content-type") == ["application/problem+json; charset=utf-8"]
            if method != "HEAD":
                assert answer.json["code"] == "withdrawn"
                assert (
                    answer.json["detail"] == "이 API는 제공이 중단되었습니다. / This API has been withdrawn."
                )
    assert len(upstream.requests) == requests_before
    assert gateway.driver.observe().carried == {
        spec.publish_id: ShownState(generation=2, digest=withdrawn_spec.digest)
    }

    again = changed(spec, generation=3)
    gateway.publish(again)
    assert gateway.ask(spec.host).status == 200

    removed = absent(spec, generation=4)
    gateway.memory.apply(removed)
    gateway.driver.verify(hold(removed, probe_host=spec.host))
    assert gateway.ask(spec.host).status == 404
    assert gateway.driver.observe().carried == {}
    assert gateway.counts() == {}


def test_the_same_again_writes_nothing_and_neither_does_an_agent_started_anew(gateway: Gateway) -> None:
    spec = live()
    assert gateway.memory.apply(spec).changes > 0
    calls = len(gateway.kong.faults.writes())
    assert gateway.memory.apply(spec).changes == 0
    gateway.driver = gateway.memory.driver = driver_of(gateway.kong)
    assert gateway.memory.apply(spec).changes == 0
    assert len(gateway.kong.faults.writes()) == calls
    assert gateway.driver.observe().carried[spec.publish_id].digest == spec.digest


def test_withdrawing_and_publishing_again_is_in_place_with_the_same_ids(
    db: Gateway, upstream: Upstreams
) -> None:
    spec = live(port=upstream.port)
    db.publish(spec)
    before = {
        kind: [entity["id"] for entity in db.kong.own(kind)] for kind in ("services", "routes", "plugins")
    }
    db.publish(withdrawn(spec, generation=2))
    assert [service["enabled"] for service in db.kong.own("services")] == [False]
    db.publish(changed(spec, generation=3))
    assert {
        kind: [entity["id"] for entity in db.kong.own(kind)] for kind in ("services", "routes", "plugins")
    } == before


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/imp/{id}/6",
        "/.well-known/imp/{id}/8",
        "/.well-known/imp/{id}/7/auth",
        "/.well-known/imp/{id}",
    ],
)
def test_another_generation_s_marker_never_reaches_an_upstream(
    gateway: Gateway, upstream: Upstreams, path: str
) -> None:
    spec = live(port=upstream.port, generation=7)
    gateway.publish(spec)
    assert gateway.ask(spec.host, path.format(id=spec.publish_id)).status == 404
    assert gateway.ask(spec.host, f"/.well-known/imp/{spec.publish_id}/7").body == b"7"
    assert upstream.requests == []


def test_a_batch_of_many_is_one_change(gateway: Gateway, upstream: Upstreams) -> None:
    specs = [live(port=upstream.port) for _ in range(20)]
    gateway.memory.apply(*specs)
    assert {gateway.ask(spec.host).status for spec in specs} == {200}
    assert len(gateway.driver.observe().carried) == 20
    gateway.memory.apply(*[withdrawn(spec, generation=2) for spec in specs[:10]])
    assert [gateway.ask(spec.host).status for spec in specs] == [410] * 10 + [200] * 10


def test_what_is_not_named_stays(gateway: Gateway, upstream: Upstreams) -> None:
    first, second = live(port=upstream.port), live(port=upstream.port)
    gateway.publish(first)
    Gateway(gateway.kong).publish(second)
    assert [gateway.ask(spec.host).status for spec in (first, second)] == [200, 200]


def test_a_newer_generation_on_the_gateway_is_left_alone(gateway: Gateway, upstream: Upstreams) -> None:
    spec = live(port=upstream.port, generation=1)
    gateway.publish(spec)
    Gateway(gateway.kong).publish(withdrawn(spec, generation=5))
    applied = gateway.memory.apply(changed(spec, generation=4))
    assert (applied.changes, applied.refused, applied.ahead) == (0, {}, {spec.publish_id: 5})
    assert gateway.ask(spec.host).status == 410
    assert gateway.driver.observe().carried[spec.publish_id].generation == 5
