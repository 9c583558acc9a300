"""The memory of a removed publish: nothing on the gateway, the generation on each disk and in the control
plane.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.protocol.messages import Outcome
from agent.protocol.spec import Spec
from tests.agent.doubles import ControlPlaneDouble, Upstreams, absent, live, until
from tests.agent.drivers.kong.gateway import Gateway, driver_of
from tests.agent.running import Running


@pytest.fixture
def control_plane() -> Iterator[ControlPlaneDouble]:
    double = ControlPlaneDouble().start()
    yield double
    double.stop()


def push(agent: Running, spec: Spec) -> tuple[Outcome, int]:
    sealed = agent.seal(spec)
    (result,) = agent.double.open_answer(agent.me, agent.post(sealed.token).text, answers=sealed.id)
    return result.outcome, result.highest_generation


def test_a_late_command_for_a_removed_publish_is_refused_by_the_disk(
    tmp_path: Path, control_plane: ControlPlaneDouble, gateway: Gateway, upstream: Upstreams
) -> None:
    agent, spec = Running(tmp_path, control_plane, driver=gateway.driver), live(port=upstream.port)
    assert push(agent, spec) == (Outcome.VERIFIED, 1)
    assert push(agent, absent(spec, generation=3)) == (Outcome.VERIFIED, 3)
    assert gateway.counts() == {}
    writes = len(gateway.kong.faults.writes())
    assert push(agent, spec.model_copy(update={"generation": 2})) == (Outcome.STALE, 3)
    agent.stop()
    anew = Running(tmp_path, control_plane, driver=driver_of(gateway.kong))
    assert push(anew, spec.model_copy(update={"generation": 2})) == (Outcome.STALE, 3)
    assert len(gateway.kong.faults.writes()) == writes
    anew.stop()


def test_what_an_agent_that_never_heard_of_the_removal_brings_back_goes_with_the_next_heartbeat_of_any(
    tmp_path: Path, control_plane: ControlPlaneDouble, db: Gateway, upstream: Upstreams
) -> None:
    """The case that a shared database cannot remember.

    It needs an agent that was frozen during the removal, and a command below 90 s old.
    """
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    first, second = (Running(folder, control_plane, driver=driver_of(db.kong)) for folder in folders)
    spec = live(port=upstream.port)
    absent_spec = absent(spec, generation=3)
    assert push(first, spec) == (Outcome.VERIFIED, 1)
    assert push(first, absent_spec) == (Outcome.VERIFIED, 3)
    assert push(second, spec.model_copy(update={"generation": 2})) == (Outcome.VERIFIED, 2)
    control_plane.expected = {spec.publish_id: absent_spec}
    first.beat()
    until(lambda: db.counts() == {}, description="it is gone again")
    assert push(second, absent_spec) == (Outcome.VERIFIED, 3)
    assert push(second, spec.model_copy(update={"generation": 2})) == (Outcome.STALE, 3)
    for agent in (first, second):
        agent.stop()
