"""The proof at every worker of a real Envoy, however many it has."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.drivers.base import Desired, Unproved
from agent.drivers.envoy.admin_api import Admin
from agent.protocol.spec import Spec
from tests.agent.doubles import live, withdrawn
from tests.agent.gateway import Gateway, hold

PUBLIC_CONNECTIONS = 3
"""For each worker, after each proof."""


@pytest.fixture(params=[1, 2, 8, 16])
def wide(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Gateway, int]]:
    gateway = Gateway(tmp_path)
    gateway.prepare()
    gateway.start(workers=request.param)
    yield gateway, request.param
    gateway.stop()
    gateway.forget()


def switched(spec: Spec, generation: int) -> Spec:
    """Published and withdrawn in turn."""
    if generation % 2:
        return live(spec.publish_id, generation=generation, host=spec.host)
    return withdrawn(spec, generation=generation)


def wrong_after_proof(wide: tuple[Gateway, int], *, operations: int) -> int:
    """How many answers at the callers' port were not those of the generation that had just been proved."""
    gateway, workers = wide
    spec, wrong = live(), 0
    for generation in range(1, operations + 1):
        current = switched(spec, generation)
        gateway.driver.apply([Desired(wanted=hold(current))])
        gateway.driver.verify(hold(current))
        path = f"/.well-known/imp/{spec.publish_id}/{generation}"
        expected = 200 if generation % 2 else 410
        answers = [gateway.ask(spec.host, path).status for _ in range(PUBLIC_CONNECTIONS * workers)]
        wrong += len([status for status in answers if status != expected])
    return wrong


def test_no_worker_answers_otherwise_once_it_is_proved(wide: tuple[Gateway, int]) -> None:
    assert wrong_after_proof(wide, operations=10) == 0


@pytest.mark.long
def test_no_worker_answers_otherwise_in_five_hundred_operations(wide: tuple[Gateway, int]) -> None:
    assert wrong_after_proof(wide, operations=500) == 0


def test_each_worker_is_asked_by_a_connection_of_its_own(wide: tuple[Gateway, int]) -> None:
    gateway, workers = wide
    spec = live()
    gateway.driver.apply([Desired(wanted=hold(spec))])
    assert gateway.driver.verify(hold(spec)).probes == workers + 4
    counted = Admin(gateway.admin).connections(str(gateway.state / "envoy" / "proof.sock"))
    assert counted == dict.fromkeys(range(workers), 1)


def test_one_worker_that_answers_otherwise_is_enough(
    wide: tuple[Gateway, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, _workers = wide
    monkeypatch.setattr("agent.drivers.envoy.driver.PROOF_S", 0.2)
    spec = live()
    gateway.driver.apply([Desired(wanted=hold(spec))])
    gateway.driver.verify(hold(spec))
    with pytest.raises(Unproved, match="answered 404 with 1"):
        gateway.driver.verify(hold(live(spec.publish_id, generation=2, host=spec.host)))


def test_an_envoy_that_was_started_again_is_asked_anew(wide: tuple[Gateway, int]) -> None:
    gateway, workers = wide
    spec = live()
    gateway.driver.apply([Desired(wanted=hold(spec))])
    gateway.driver.verify(hold(spec))
    gateway.stop()
    gateway.start(workers=max(1, workers // 2))
    assert gateway.driver.verify(hold(spec)).probes == max(1, workers // 2) + 4
