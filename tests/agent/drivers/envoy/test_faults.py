"""The Envoy driver when something goes wrong: refusals, kills, damage, restarts.

What was served stays served.
"""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from agent.drivers.base import Desired, PinnedSpec, Refused, Unproved, Unreachable
from agent.drivers.envoy import resources
from agent.drivers.envoy.discovery import Discovery
from agent.drivers.envoy.resource_store import ResourceStore
from agent.protocol.spec import Auth, AuthMode
from tests.agent.doubles import Upstreams, absent, live, make_service, until, withdrawn
from tests.agent.drivers.envoy.test_driver import clusters_of
from tests.agent.gateway import Gateway, Memory, hold


def test_what_envoy_refuses_is_left_out_and_the_others_are_served(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    standing = live(port=upstream.port)
    memory.apply(standing)
    twin = live(host=standing.host, port=upstream.port)
    no_time = live(services=(make_service(upstream.port, connect_timeout_ms=0),))
    closed = live(port=upstream.port, auth=Auth(mode=AuthMode.API_KEY))
    good = [live(port=upstream.port) for _ in range(4)]
    applied = memory.apply(good[0], twin, good[1], no_time, good[2], closed, good[3])
    assert {publish: why.code for publish, why in applied.refused.items()} == {
        twin.publish_id: "gateway_refused",
        no_time.publish_id: "gateway_refused",
        closed.publish_id: "invalid",
    }
    assert str(standing.publish_id) in str(applied.refused[twin.publish_id])
    assert (
        str(applied.refused[no_time.publish_id])
        == "ClusterValidationError.ConnectTimeout: value must be greater than 0s"
    )
    refusal = applied.refused[no_time.publish_id]
    assert (refusal.entity, refusal.field) == (f"publish {no_time.publish_id}", "connect_timeout")
    assert [gateway.ask(spec.host).status for spec in (standing, *good)] == [200] * 5
    assert [gateway.ask(spec.host).status for spec in (no_time, closed)] == [404, 404]
    assert set(memory.observe().carried) == {spec.publish_id for spec in (standing, *good)}


def test_a_refused_successor_leaves_the_good_generation_serving(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    spec = live(port=upstream.port)
    memory.apply(spec)
    bad = live(spec.publish_id, generation=2, services=(make_service(upstream.port, connect_timeout_ms=0),))
    assert set(memory.apply(bad).refused) == {spec.publish_id}
    assert gateway.ask(spec.host).status == 200
    assert memory.observe().carried[spec.publish_id].generation == 1


def test_a_refused_successor_of_what_the_agent_forgot_leaves_it_serving(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    spec, withdrawn_spec = live(port=upstream.port), live(port=upstream.port)
    memory.apply(spec, withdrawn(withdrawn_spec, generation=2))
    bad = [
        live(
            tried_spec.publish_id,
            generation=3,
            host=tried_spec.host,
            services=(make_service(upstream.port, connect_timeout_ms=0),),
        )
        for tried_spec in (spec, withdrawn_spec)
    ]
    # Of one nothing is remembered, of the other what is older than what stands.
    applied = gateway.driver.apply(
        [Desired(wanted=hold(bad[0])), Desired(wanted=hold(bad[1]), fallback=hold(withdrawn_spec))]
    )
    assert {publish: why.code for publish, why in applied.refused.items()} == {
        tried_spec.publish_id: "gateway_refused" for tried_spec in bad
    }
    assert [gateway.ask(tried_spec.host).status for tried_spec in (spec, withdrawn_spec)] == [200, 410]


def test_a_host_can_pass_from_one_publish_to_another_in_one_change(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    old = live(host="shared.localhost", port=upstream.port)
    memory.apply(old)
    new = live(host="shared.localhost", port=upstream.port)
    broken = live(services=(make_service(upstream.port, connect_timeout_ms=0),))
    applied = memory.apply(new, broken, absent(old, generation=2))
    assert set(applied.refused) == {broken.publish_id}
    assert set(memory.observe().carried) == {new.publish_id}


def test_envoy_started_again_serves_what_it_served(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    spec, withdrawn_spec = live(port=upstream.port), live()
    memory.apply(spec, withdrawn_spec)
    memory.apply(withdrawn(withdrawn_spec, generation=2))
    gateway.stop()
    assert "No Envoy asks this agent" in until(lambda: complaint(gateway), description="it is away")
    assert not gateway.driver.describe().ok
    gateway.start()
    assert gateway.ask(spec.host).status == 200
    assert gateway.ask(withdrawn_spec.host).status == 410
    assert memory.observe().in_force
    assert memory.apply(spec).changes == 0


def test_an_envoy_that_is_away_changes_nothing(gateway: Gateway, memory: Memory, upstream: Upstreams) -> None:
    spec, new = live(port=upstream.port), live(port=upstream.port)
    memory.apply(spec)
    gateway.stop()
    until(lambda: complaint(gateway), description="it is away")
    with pytest.raises(Unreachable, match="No Envoy asks this agent for its configuration"):
        memory.apply(new)
    gateway.start()
    assert [gateway.ask(served.host).status for served in (spec, new)] == [200, 404]


def test_an_agent_that_is_away_is_not_missed_and_finds_envoy_again(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    spec = live(port=upstream.port)
    memory.apply(spec)
    gateway.forget()
    assert gateway.ask(spec.host).status == 200
    assert gateway.driver.observe().carried[spec.publish_id].generation == 1
    assert Memory(gateway.driver).apply(spec).changes == 0


def test_both_started_again_serve_from_the_agent_s_own_disk(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    spec, withdrawn_spec, removed = (live(port=upstream.port) for _ in range(3))
    memory.apply(spec, withdrawn_spec, removed)
    memory.apply(withdrawn(withdrawn_spec, generation=2), absent(removed, generation=2))
    gateway.stop()
    gateway.forget()
    gateway.start()
    assert [gateway.ask(served.host).status for served in (spec, withdrawn_spec, removed)] == [200, 410, 404]


def test_a_restored_disk_brings_nothing_older_to_an_envoy_that_runs(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    spec = live(port=upstream.port)
    memory.apply(spec)
    gateway.forget()
    backup = {path: path.read_bytes() for path in (gateway.state / "envoy").glob("resources.sqlite3*")}
    Memory(gateway.driver).apply(withdrawn(spec, generation=2))
    gateway.forget()
    for path in (gateway.state / "envoy").glob("resources.sqlite3*"):
        path.unlink()
    for path, content in backup.items():
        path.write_bytes(content)
    assert gateway.driver.observe().carried[spec.publish_id].generation == 2
    applied = gateway.driver.apply([Desired(wanted=hold(spec))])
    assert (applied.ahead, gateway.ask(spec.host).status) == ({spec.publish_id: 2}, 410)


@pytest.mark.parametrize("damage", ["emptied", "no database", "row edited"])
def test_what_another_hand_did_to_the_agent_s_disk_is_not_served(
    gateway: Gateway, memory: Memory, upstream: Upstreams, damage: str
) -> None:
    spec = live(port=upstream.port)
    memory.apply(spec)
    gateway.stop()
    gateway.forget()
    path = gateway.state / "envoy" / "resources.sqlite3"
    if damage == "row edited":
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(
                "UPDATE resource SET body = replace(body, 'upstream', 'elsewhere'), version = '9::'"
            )
    else:
        path.write_text("" if damage == "emptied" else "nonsense" * 1000)
        for more in ("-wal", "-shm"):
            path.with_name(path.name + more).unlink(missing_ok=True)
    gateway.start()
    assert gateway.driver.observe().carried == {}
    assert gateway.ask(spec.host).status == 404
    memory = Memory(gateway.driver)
    assert memory.apply(spec).changes == 2
    assert gateway.ask(spec.host).status == 200


def complaint(gateway: Gateway) -> str:
    """The driver's words about a gateway that cannot be read; "" while it can."""
    try:
        gateway.driver.observe()
    except Unreachable as problem:
        return str(problem)
    return ""


class Killed(BaseException):
    """Stands for kill -9."""


def killed_at(cls: type, method: str, *, call: int, is_done: bool) -> Callable[..., Any]:
    """The method, whose so-manieth call ends the process before or after its work."""
    original, calls = getattr(cls, method), []

    def work(self: Any, *arguments: Any, **more: Any) -> Any:
        calls.append(method)
        if len(calls) == call and not is_done:
            raise Killed
        result = original(self, *arguments, **more)
        if len(calls) == call:
            raise Killed
        return result

    return work


@pytest.mark.parametrize(
    ("cls", "method", "call"),
    [(Discovery, "want", 1), (Discovery, "want", 3), (Discovery, "want", 4), (ResourceStore, "save", 1)],
    ids=["clusters", "routes", "old clusters", "disk"],
)
@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("is_envoy_gone", [False, True], ids=["agent", "agent and envoy"])
def test_killed_at_any_step_a_live_route_stays_and_the_same_apply_completes(
    gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
    *,
    cls: type,
    method: str,
    call: int,
    is_done: bool,
    is_envoy_gone: bool,
) -> None:
    first, second = Upstreams("one"), Upstreams("two")
    old = live(port=first.port)
    memory = Memory(gateway.driver)
    memory.apply(old)
    new = live(old.publish_id, generation=2, port=second.port)
    monkeypatch.setattr(cls, method, killed_at(cls, method, call=call, is_done=is_done))
    with pytest.raises(Killed):
        memory.apply(new)
    monkeypatch.undo()
    assert gateway.ask(old.host).json["upstream"] in {"one", "two"}
    gateway.forget()
    if is_envoy_gone:
        gateway.stop()
        gateway.start()
    assert gateway.ask(old.host).json["upstream"] in {"one", "two"}
    Memory(gateway.driver).apply(new)
    gateway.driver.verify(hold(new))
    assert gateway.ask(old.host).json["upstream"] == "two"
    assert len(clusters_of(gateway)) == 1
    first.close()
    second.close()


def test_publishes_that_the_agent_forgot_are_not_removed(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    forgotten = live(port=upstream.port)
    memory.apply(forgotten)
    new = live(port=upstream.port)
    gateway.forget()
    (gateway.state / "envoy" / "resources.sqlite3").unlink()
    Memory(gateway.driver).apply(new)
    assert gateway.ask(forgotten.host).status == 200
    assert gateway.ask(new.host).status == 200
    assert set(gateway.driver.observe().carried) == {forgotten.publish_id, new.publish_id}


def test_what_is_not_served_is_not_proved(
    gateway: Gateway, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.drivers.envoy.driver.PROOF_S", 0.3)
    spec = live()
    with pytest.raises(Unproved, match="answered 404 with no generation"):
        gateway.driver.verify(hold(spec))
    memory.apply(spec)
    with pytest.raises(Unproved, match="answered 404 with 1"):
        gateway.driver.verify(hold(live(spec.publish_id, generation=2)))
    with pytest.raises(Unproved):
        gateway.driver.verify(hold(withdrawn(spec, generation=1)))
    with pytest.raises(Unproved):
        gateway.driver.verify(hold(absent(spec, generation=1), probe_host=spec.host))
    assert gateway.driver.verify(hold(absent(spec, generation=1))).probes == 0
    gateway.stop()
    with pytest.raises(Unproved, match=r"Envoy ended the connection of the proof|does not answer"):
        gateway.driver.verify(hold(spec))


def test_what_a_stricter_version_would_refuse_stays_and_is_in_nobody_s_way(
    gateway: Gateway, memory: Memory, upstream: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = live(port=upstream.port), live(port=upstream.port)
    memory.apply(old)
    build = resources.scope

    def stricter(pinned_spec: PinnedSpec) -> Any:
        if pinned_spec.publish_id == old.publish_id:
            raise Refused("No more.", code="invalid")
        return build(pinned_spec)

    monkeypatch.setattr(resources, "scope", stricter)
    assert set(memory.apply(new).refused) == {old.publish_id}
    assert [gateway.ask(spec.host).status for spec in (old, new)] == [200, 200]


def test_moved_addresses_are_taken_over_without_a_new_generation(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    service = make_service(upstream.port, host="moving.example")
    spec = live(services=(service,))
    dead = hold(spec).model_copy(update={"addresses": {f"moving.example:{upstream.port}": ("127.0.0.9",)}})
    gateway.driver.apply([Desired(wanted=dead)])
    assert gateway.ask(spec.host).status == 503
    alive = hold(spec)
    assert gateway.driver.apply([Desired(wanted=alive, fallback=alive)]).changes == 3
    assert gateway.ask(spec.host).status == 200
    assert memory.observe().carried[spec.publish_id].generation == 1


def test_no_request_fails_while_its_publish_is_applied_again_and_again(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    spec = live(port=upstream.port)
    memory.apply(spec)
    statuses: list[int] = []
    stop: list[bool] = []

    def call() -> None:
        while not stop:
            statuses.append(gateway.ask(spec.host).status)

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    generation = 1
    while generation < 12 or len(statuses) <= 50:
        generation += 1
        service = make_service(upstream.port, timeout_ms=1000 + generation)
        memory.apply(live(spec.publish_id, generation=generation, services=(service,)))
    stop.append(True)
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}


def test_only_the_agent_s_user_reads_its_files_and_reaches_its_sockets(
    gateway: Gateway, memory: Memory
) -> None:
    memory.apply(live())
    modes = {path.name: path.stat().st_mode & 0o777 for path in (gateway.state / "envoy").iterdir()}
    assert modes.keys() - {"resources.sqlite3-wal", "resources.sqlite3-shm"} == {
        "bootstrap.json",
        "resources.sqlite3",
        "xds.sock",
        "proof.sock",
    }
    assert set(modes.values()) == {0o600}


def test_preparing_again_keeps_what_is_served(gateway: Gateway, memory: Memory, upstream: Upstreams) -> None:
    spec = live(port=upstream.port)
    memory.apply(spec)
    gateway.prepare()
    gateway.stop()
    gateway.start()
    assert gateway.ask(spec.host).status == 200


def test_the_listener_is_waited_for(gateway: Gateway) -> None:
    description = gateway.driver.describe()
    assert (description.ok, description.version, description.mode) == (True, "1.40.0", "xds")
    assert gateway.driver.reserved() == (gateway.proxy, gateway.admin)
    until(lambda: gateway.driver.observe().in_force, description="nothing is in force yet")
