"""An Envoy that stands still, or refuses a part of what it is started with: the others are not held up."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agent.drivers.base import Desired, Refused
from agent.drivers.envoy import driver as envoy_driver
from agent.drivers.envoy.entries import parts_of
from demo.embedded import is_listening
from fence import split_endpoint
from tests.agent.doubles import Upstreams, live, make_service, until, withdrawn
from tests.agent.gateway import Gateway, Memory, hold


@contextmanager
def standing_still(gateway: Gateway) -> Iterator[None]:
    assert gateway.process
    gateway.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        gateway.process.send_signal(signal.SIGCONT)


def test_what_envoy_does_not_answer_is_neither_taken_nor_refused_and_is_taken_later(
    gateway: Gateway, memory: Memory, upstream: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = live(port=upstream.port)
    memory.apply(spec)
    monkeypatch.setattr(envoy_driver, "TAKE_S", 0.2)
    changed = withdrawn(spec, generation=2)
    with standing_still(gateway):
        applied = gateway.driver.apply([Desired(wanted=hold(changed), fallback=hold(spec))])
        assert (applied.refused, applied.unanswered) == ({}, {spec.publish_id})
    applied = gateway.driver.apply([Desired(wanted=hold(changed), fallback=hold(spec))])
    assert (applied.refused, applied.unanswered) == ({}, frozenset())
    assert gateway.ask(spec.host).status == 410


def test_a_resource_that_envoy_refuses_at_its_start_keeps_no_other_from_being_served(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    specs = [live(port=upstream.port) for _ in range(3)]
    memory.apply(*specs)
    bad = live(services=(make_service(upstream.port, connect_timeout_ms=0),))
    gateway.driver._store.save({bad.publish_id: parts_of(hold(bad))})  # as another version took it
    gateway.stop()
    gateway.forget()
    gateway.start()
    assert [gateway.ask(spec.host).status for spec in (*specs, bad)] == [200, 200, 200, 404]
    assert set(gateway.driver.observe().carried) == {spec.publish_id for spec in specs}


def test_callers_get_in_when_an_envoy_that_is_started_has_all_routes(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    specs = [live(port=upstream.port) for _ in range(100)]
    memory.apply(*specs)
    gateway.stop()
    gateway.launch()
    _host, port = split_endpoint(gateway.proxy)
    until(lambda: is_listening(port), description="callers get in")
    assert [gateway.ask(spec.host).status for spec in reversed(specs)] == [200] * 100


def test_what_was_refused_is_not_sent_again_when_envoy_comes_back(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    spec = live(port=upstream.port)
    memory.apply(spec)
    service = make_service(upstream.port, connect_timeout_ms=0)
    bad = live(spec.publish_id, generation=2, host=spec.host, services=(service,))
    assert isinstance(memory.apply(bad).refused[spec.publish_id], Refused)
    gateway.stop()
    gateway.start()
    assert gateway.ask(spec.host).status == 200
    assert gateway.driver.observe().carried[spec.publish_id].generation == 1
    scope = parts_of(hold(bad)).scope
    assert scope
    desired = gateway.driver._discovery.desired(scope.key)
    assert desired
    assert desired.version.startswith("1:")
