"""The gateway decides which generation wins, the same on every kind.

In memory, a real Envoy, and the Kong double in both modes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

import pytest

from agent.drivers.base import Applied, Desired, Driver, ShownState
from agent.drivers.memory import MemoryDriver, MemoryGateway
from agent.protocol.messages import Item, Outcome, Result
from agent.protocol.spec import Auth, AuthMode, Spec
from agent.work.batch import BatchParts
from agent.work.state import Store
from agent.work.upstreams import Pinner
from agent.work.worker import Worker
from tests.agent.bench import results_of
from tests.agent.doubles import LOOPBACK, absent, live, withdrawn
from tests.agent.drivers.kong.gateway import driver_of
from tests.agent.gateway import Gateway, hold
from tests.doubles.kong.node import Kong


class _Makes(Protocol):
    def __call__(self) -> Driver: ...


@dataclass(frozen=True)
class Place:
    """A gateway, and how an agent that was just started drives it."""

    driver: _Makes

    def apply(self, *desired: Desired) -> Applied:
        """By a fresh driver: what an earlier one remembers must not matter."""
        return self.driver().apply(desired)

    def carried(self) -> dict[UUID, ShownState]:
        return dict(self.driver().observe().carried)


@pytest.fixture(params=["memory", "envoy", "kong", "kong without a database"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    if request.param == "memory":
        gateway = MemoryGateway(auth_modes=(AuthMode.NONE,))
        yield Place(lambda: MemoryDriver(gateway))
    elif request.param == "envoy":
        envoy: Gateway = request.getfixturevalue("gateway")
        yield Place(lambda: envoy.driver)
    else:
        monkeypatch.setattr("agent.drivers.proof.CONNECTIONS", 6)  # the double has two workers at most
        kong = Kong(database="postgres" if request.param == "kong" else "off").start()
        yield Place(lambda: driver_of(kong))
        kong.stop()


def want(spec: Spec, *, instead_of: Spec | None = None) -> Desired:
    return Desired(wanted=hold(spec), fallback=hold(instead_of) if instead_of else None)


def shown(spec: Spec) -> dict[UUID, ShownState]:
    return {spec.publish_id: ShownState(generation=spec.generation, digest=spec.digest)}


def refusable(spec: Spec, *, generation: int) -> Spec:
    """What no gateway takes: keys that nobody says where to look for."""
    return live(spec.publish_id, generation=generation, auth=Auth(mode=AuthMode.API_KEY, key_header=""))


def test_a_lower_generation_is_left_alone_and_the_others_are_applied(place: Place) -> None:
    spec, second_spec = live(), live()
    withdrawn_spec = withdrawn(spec, generation=2)
    place.apply(want(withdrawn_spec))
    applied = place.apply(want(spec), want(second_spec))
    assert (applied.ahead, applied.refused) == ({spec.publish_id: 2}, {})
    assert place.carried() == shown(withdrawn_spec) | shown(second_spec)
    applied = place.apply(want(spec))
    assert (applied.changes, applied.ahead) == (0, {spec.publish_id: 2})


def test_a_lower_generation_does_not_remove_either(place: Place) -> None:
    spec = live(generation=2)
    place.apply(want(spec))
    applied = place.apply(want(absent(spec, generation=1)))
    assert (applied.changes, applied.ahead) == (0, {spec.publish_id: 2})
    assert place.carried() == shown(spec)


def test_nobody_can_tell_the_generation_of_what_was_removed(place: Place) -> None:
    spec = live()
    place.apply(want(spec))
    place.apply(want(absent(spec, generation=2)))
    assert place.carried() == {}
    assert place.apply(want(spec)).ahead == {}
    assert place.carried() == shown(spec)


def test_the_same_generation_is_no_lower_one(place: Place) -> None:
    spec = live()
    place.apply(want(spec))
    applied = place.apply(want(spec))
    assert (applied.changes, applied.ahead, applied.refused) == (0, {}, {})


@pytest.mark.parametrize("is_remembered", [True, False])
def test_what_stands_stays_when_a_successor_is_refused(place: Place, is_remembered: bool) -> None:
    spec = live()
    withdrawn_spec = withdrawn(spec, generation=2)
    place.apply(want(withdrawn_spec))
    # The agent remembers what is older than what stands, as after a restored backup, or nothing.
    applied = place.apply(want(refusable(spec, generation=3), instead_of=spec if is_remembered else None))
    assert set(applied.refused) == {spec.publish_id}
    assert place.carried() == shown(withdrawn_spec)


def bring(driver: Driver, folder: Path, spec: Spec) -> Result:
    """As an agent does that was just started on this folder."""
    worker = Worker(BatchParts(driver=driver, store=Store(folder), pinner=Pinner(), reserved=()))
    worker.start()
    try:
        return results_of(worker.submit([Item(spec=spec)], networks=LOOPBACK))[0]
    finally:
        worker.stop(timeout_s=1)


def test_an_agent_that_lost_its_state_brings_nothing_back(place: Place, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    spec = live()
    withdrawn_spec = withdrawn(spec, generation=2)
    assert [bring(place.driver(), folders[0], step).outcome for step in (spec, withdrawn_spec)] == [
        Outcome.VERIFIED
    ] * 2
    result = bring(place.driver(), folders[1], spec)
    assert (result.outcome, result.highest_generation) == (Outcome.STALE, 2)
    assert place.carried() == shown(withdrawn_spec)
