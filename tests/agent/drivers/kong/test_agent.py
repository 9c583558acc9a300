"""A whole agent with a Kong: heartbeats restore what a Kong has lost, and two agents share a database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.drivers.base import ShownState
from agent.work.carried import carried_now
from tests.agent.doubles import ControlPlaneDouble, Upstreams, live, until, withdrawn
from tests.agent.drivers.kong.gateway import Gateway, changed, driver_of, key, with_keys
from tests.agent.running import Running
from tests.doubles.kong.faults import Fault


@pytest.fixture
def control_plane() -> Iterator[ControlPlaneDouble]:
    double = ControlPlaneDouble().start()
    yield double
    double.stop()


@pytest.fixture
def agent(tmp_path: Path, control_plane: ControlPlaneDouble, gateway: Gateway) -> Iterator[Running]:
    running = Running(tmp_path, control_plane, driver=gateway.driver)
    yield running
    running.stop()


def beat_until_verified(agent: Running, generation: int) -> None:
    def is_verified() -> bool:
        agent.beat()
        reports = agent.double.reports
        return (
            bool(reports)
            and all(entry.verified and entry.generation == generation for entry in reports[-1].carried)
            and len(reports[-1].carried) > 0
        )

    until(is_verified, within_s=60, description="verified")


def test_a_kong_that_lost_everything_is_filled_by_the_next_heartbeats(
    agent: Running, gateway: Gateway, upstream: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A proof that is under way when everything is lost takes until its deadline.
    monkeypatch.setattr("agent.drivers.kong.proof.PROOF_S", 2.0)
    open_spec, closed = live(port=upstream.port), with_keys(upstream.port, key("one", "key-one"))
    agent.double.expected = {spec.publish_id: spec for spec in (open_spec, closed)}
    beat_until_verified(agent, 1)
    gateway.kong.lose_everything()
    assert gateway.ask(open_spec.host).status == 404
    beat_until_verified(agent, 1)
    assert [gateway.ask(spec.host).status for spec in (open_spec, closed)] == [200, 401]
    assert gateway.ask(closed.host, headers={"apikey": "key-one"}).status == 200


def test_without_a_database_an_emptied_kong_is_filled_from_the_disk_while_the_control_plane_is_away(
    tmp_path: Path, control_plane: ControlPlaneDouble, dbless: Gateway, upstream: Upstreams
) -> None:
    agent = Running(tmp_path, control_plane, driver=dbless.driver)
    specs = _, closed, withdrawn_spec = (
        live(port=upstream.port),
        with_keys(upstream.port, key("one", "key-one")),
        live(port=upstream.port),
    )
    agent.post(agent.seal(*specs).token)
    agent.post(agent.seal(withdrawn(withdrawn_spec, generation=2)).token)
    carried = dbless.driver.observe().carried
    counts, loads = (
        (len(control_plane.heartbeats), len(control_plane.reports)),
        len(dbless.kong.faults.writes()),
    )
    agent.watch.look()
    until(lambda: agent.worker.is_renewed, description="it has looked whether all has its shape")
    dbless.kong.lose_everything()
    agent.watch.look()
    until(lambda: dbless.driver.observe().carried == carried, description="all is back")
    assert [dbless.ask(spec.host).status for spec in specs] == [200, 401, 410]
    assert dbless.ask(closed.host, headers={"apikey": "key-one"}).status == 200
    assert (len(control_plane.heartbeats), len(control_plane.reports)) == counts
    # Shut first, then open: two loads, and none for the look at a Kong that had everything.
    assert len(dbless.kong.faults.writes()) == loads + 2
    assert {entry.verified for entry in carried_now(dbless.driver, agent.store.records)} == {True}
    agent.stop()


def test_a_database_that_lost_everything_is_left_to_the_control_plane(db: Gateway) -> None:
    db.publish(live())
    db.kong.lose_everything()
    assert not db.driver.is_empty()
    db.kong.token = "closed"
    assert not db.driver.is_empty()


def test_an_observation_costs_two_calls_while_nothing_changes_without_a_database(dbless: Gateway) -> None:
    spec = live()
    dbless.publish(spec)
    dbless.driver.observe()
    dbless.kong.faults.clear()
    assert dbless.driver.observe().carried == {spec.publish_id: ShownState(generation=1, digest=spec.digest)}
    assert [call.path for call in dbless.kong.faults.calls] == ["/", "/status"]


def test_f26_a_route_deleted_by_hand_is_reported_and_healed(
    tmp_path: Path, control_plane: ControlPlaneDouble, db: Gateway, upstream: Upstreams
) -> None:
    agent = Running(tmp_path, control_plane, driver=db.driver)
    spec = live(port=upstream.port)
    control_plane.expected = {spec.publish_id: spec}
    beat_until_verified(agent, 1)
    victim = next(route for route in db.kong.own("routes") if route["service"])
    db.admin("DELETE", f"/routes/{victim['id']}")
    agent.beat()
    assert [entry.verified for entry in control_plane.reports[-1].carried] == [False]
    beat_until_verified(agent, 1)
    assert db.ask(spec.host).status == 200
    agent.stop()


def test_f8_a_kong_that_is_away_is_said_and_goes_on_when_it_is_back(
    agent: Running, gateway: Gateway, upstream: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.drivers.kong.admin_api.PAUSES_S", ())
    spec = live(port=upstream.port)
    agent.double.expected = {spec.publish_id: spec}
    gateway.kong.token = "closed"
    agent.beat()
    beat = agent.double.heartbeats[-1]
    assert (beat.gateway_ok, "refuses this agent (401). Check the token" in beat.gateway_error) == (
        False,
        True,
    )
    gateway.kong.token = ""
    beat_until_verified(agent, 1)
    assert agent.double.heartbeats[-1].gateway_version == "3.9.3"
    assert gateway.ask(spec.host).status == 200


@pytest.mark.parametrize(
    ("hangs", "called", "is_fine"),
    [("", ["/", "/"], False), ("plugins", ["/", "/", "/plugins", "/routes", "/services"], True)],
)
def test_a_heartbeat_does_not_wait_for_an_admin_api_that_hangs(
    tmp_path: Path,
    control_plane: ControlPlaneDouble,
    db: Gateway,
    monkeypatch: pytest.MonkeyPatch,
    hangs: str,
    called: list[str],
    is_fine: bool,
) -> None:
    monkeypatch.setattr("agent.drivers.kong.setup.HASTY_S", 0.5)
    agent = Running(tmp_path, control_plane, driver=driver_of(db.kong))
    db.kong.faults.on(lambda call: "".join(call.steps) == hangs, *[Fault(delay_s=0.8)] * 9)
    agent.beat()
    assert sorted(call.path.partition("?")[0] for call in db.kong.faults.calls) == called
    beat = control_plane.heartbeats[-1]
    assert (beat.gateway_ok, "does not answer" in beat.gateway_error) == (is_fine, not is_fine)
    agent.stop()


def test_a_heartbeat_asks_again_where_a_fault_passes_at_once(db: Gateway) -> None:
    spec = live()
    db.publish(spec)
    db.kong.faults.on(lambda call: call.steps == ["plugins"], Fault(status=503))
    assert db.driver.observe(hasty=True).carried == {
        spec.publish_id: ShownState(generation=1, digest=spec.digest)
    }


def test_two_agents_of_one_database_at_the_same_moment(db: Gateway, upstream: Upstreams) -> None:
    drivers = [Gateway(db.kong) for _ in range(3)]
    spec = with_keys(upstream.port, key("one", "key-one"))
    steps = [spec, withdrawn(spec, generation=2), changed(spec, generation=3)]
    for step in steps:
        with ThreadPoolExecutor() as pool:
            applied = list(pool.map(lambda gateway, step=step: gateway.memory.apply(step), drivers))
        assert [outcome.refused for outcome in applied] == [{}, {}, {}]
        for gateway in drivers:
            gateway.driver.verify(gateway.memory.good[spec.publish_id])
    assert db.driver.observe().carried == {spec.publish_id: ShownState(generation=3, digest=spec.digest)}
    assert db.ask(spec.host, headers={"apikey": "key-one"}).status == 200


@pytest.mark.long
def test_kong_s_default_consistency_is_proved_within_the_deadline(
    gateway: Gateway, upstream: Upstreams
) -> None:
    gateway.kong.late(routes_s=9.3, plugins_s=9.3)
    spec = with_keys(upstream.port, key("one", "key-one"))
    (evidence,) = gateway.publish(spec)
    assert evidence.verify_ms < 20_000
    gateway.publish(withdrawn(spec, generation=2))
    assert gateway.ask(spec.host).status == 410
    assert upstream.requests == []


def test_the_driver_of_an_agent_started_anew_knows_what_is_there(db: Gateway, upstream: Upstreams) -> None:
    spec = live(port=upstream.port)
    db.publish(spec)
    assert driver_of(db.kong).observe().carried == {
        spec.publish_id: ShownState(generation=1, digest=spec.digest)
    }
