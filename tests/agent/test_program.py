"""The whole program beside a real Envoy: commands, heartbeats, kills and restarts, from the callers' side."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from agent.drivers.envoy.driver import CALLERS_ASKED
from agent.protocol.messages import Outcome
from agent.work.state import Store
from tests.agent.doubles import ControlPlaneDouble, Upstreams, absent, live, make_service, until, withdrawn
from tests.agent.gateway import WORKERS
from tests.agent.program import Children, Site


@pytest.fixture
def site(tmp_path: Path, control_plane: ControlPlaneDouble, children: Children) -> Iterator[Site]:
    site = Site(tmp_path / "state", control_plane, children)
    yield site
    site.gateway.stop()


def test_published_withdrawn_and_removed_by_command(site: Site, upstream: Upstreams) -> None:
    site.start()
    spec = live(port=upstream.port)
    (result,) = site.push(spec)
    assert (result.outcome, result.evidence.probes, result.evidence.bursts) == (
        Outcome.VERIFIED,
        CALLERS_ASKED + WORKERS,
        1,
    )
    assert result.evidence.apply_ms > 0
    assert result.evidence.verify_ms > 0
    assert upstream.requests == []
    assert site.gateway.ask(spec.host).status == 200
    assert site.push(withdrawn(spec, generation=2))[0].outcome == Outcome.VERIFIED
    assert site.gateway.ask(spec.host).status == 410
    assert site.push(absent(spec, generation=3))[0].outcome == Outcome.VERIFIED
    assert site.gateway.ask(spec.host).status == 404
    assert site.push(spec)[0].outcome == Outcome.STALE
    assert site.gateway.ask(spec.host).status == 404


def test_the_gateway_s_own_ports_are_no_upstreams(site: Site) -> None:
    site.start()
    ports = [
        int(endpoint.rpartition(":")[2])
        for endpoint in (site.gateway.admin, site.gateway.proxy, site.me.url, site.double.url)
    ]
    specs = [
        live(services=(make_service(port, host=host),))
        for port in ports
        for host in ("127.0.0.1", "localhost", "127.0.0.2", "::ffff:127.0.0.1")
    ]
    results = site.push(*specs)
    assert [(result.outcome, result.code) for result in results] == [(Outcome.REFUSED, "reserved")] * 16
    assert {site.gateway.ask(spec.host).status for spec in specs} == {404}


def test_an_agent_that_was_away_catches_up_by_itself(site: Site, upstream: Upstreams) -> None:
    specs = [live(port=upstream.port) for _ in range(3)]
    site.double.expected = {spec.publish_id: spec for spec in specs}
    site.start()
    until(
        lambda: site.verified() == {(spec.publish_id, 1) for spec in specs},
        description="all three are verified",
    )
    assert [site.gateway.ask(spec.host).status for spec in specs] == [200] * 3


def test_it_stops_within_a_second_and_its_gateway_goes_on(site: Site, upstream: Upstreams) -> None:
    process = site.start()
    spec = live(port=upstream.port)
    site.push(spec)
    for number in (signal.SIGTERM, signal.SIGINT):
        started = time.monotonic()
        process.send_signal(number)
        assert process.wait(timeout=5) == 0
        assert time.monotonic() - started < 1
        assert site.gateway.ask(spec.host).status == 200
        process = site.start()
    assert site.push(spec)[0].evidence.changes == 0


def test_killed_before_envoy_has_answered_it_completes_the_same_generation_alone(
    site: Site, upstream: Upstreams
) -> None:
    site.start()
    standing, spec = live(port=upstream.port), live(port=upstream.port)
    site.push(standing, spec)
    assert site.gateway.process
    site.gateway.process.send_signal(signal.SIGSTOP)
    desired = withdrawn(spec, generation=2)
    pushing = threading.Thread(target=suppressed, args=(httpx2.HTTPError, site.push, desired))
    pushing.start()
    until(lambda: Store(site.folder).pending(), description="it is on the disk")
    site.process.kill()
    site.process.wait()
    pushing.join()
    site.gateway.process.send_signal(signal.SIGCONT)
    assert site.gateway.ask(standing.host).status == 200
    site.double.results.clear()
    site.start()
    (result,) = until(lambda: site.double.results, description="the recovered result was handed in")
    assert (result.publish_id, result.generation, result.outcome) == (spec.publish_id, 2, Outcome.VERIFIED)
    assert (site.gateway.ask(spec.host).status, site.gateway.ask(standing.host).status) == (410, 200)


def suppressed(problem: type[Exception], work: Callable[..., object], *arguments: object) -> None:
    with suppress(problem):
        work(*arguments)


def test_an_envoy_that_comes_back_is_served_and_proved_again(site: Site, upstream: Upstreams) -> None:
    site.start()
    spec = live(port=upstream.port)
    site.double.expected[spec.publish_id] = spec
    site.push(spec)
    site.gateway.stop()
    until(lambda: not site.double.heartbeats[-1].gateway_ok, description="the heartbeat says so")
    assert "does not answer" in site.double.heartbeats[-1].gateway_error
    until(lambda: site.verified() == set(), description="nothing is called verified")
    site.gateway.launch()
    until(
        lambda: site.double.heartbeats[-1].gateway_ok and site.verified() == {(spec.publish_id, 1)},
        description="verified again",
    )
    assert site.gateway.ask(spec.host).status == 200


def test_nothing_secret_is_logged(site: Site, upstream: Upstreams) -> None:
    site.start()
    spec = live(uuid4(), port=upstream.port)
    site.push(spec)
    log = (site.folder / "agent.log").read_text()
    assert str(spec.publish_id) in log
    assert json.loads((site.folder / "key.json").read_text())["d"] not in log
    assert "upstream" not in log
    assert all(isinstance(json.loads(line), dict) for line in log.splitlines())
