"""What one batch hands to the driver, and what becomes of what the driver gives back."""

import socket
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest

from agent.drivers.base import Applied, Desired, Unreachable
from agent.drivers.memory import MemoryDriver, MemoryGateway
from agent.protocol.messages import Item, Outcome, Result
from agent.protocol.spec import Spec
from agent.work import batch
from agent.work.batch import BatchParts
from agent.work.state import Store
from agent.work.upstreams import Pinner
from agent.work.worker import Worker
from fence import Address
from tests.agent.bench import Bench, results_of
from tests.agent.doubles import LOOPBACK, live, make_service, withdrawn
from tests.agent.gateway import hold


class Recorded(MemoryDriver):
    """Remembers what it was asked to bring; one test has it leave something unanswered, or alone."""

    def __init__(self, gateway: MemoryGateway) -> None:
        super().__init__(gateway)
        self.calls: list[set[UUID]] = []
        self.unanswered: frozenset[UUID] = frozenset()
        self.ahead: dict[UUID, int] = {}

    def apply(self, desired: Sequence[Desired]) -> Applied:
        self.calls.append({goal.publish_id for goal in desired})
        if self.unanswered or self.ahead:
            return Applied(changes=0, unanswered=self.unanswered, ahead=self.ahead)
        return super().apply(desired)


@pytest.fixture
def driver(bench: Bench) -> Recorded:
    bench.start()
    return Recorded(bench.gateway)


@pytest.fixture
def parts(bench: Bench, driver: Recorded) -> BatchParts:
    return BatchParts(driver=driver, store=bench.store, pinner=Pinner(), reserved=())


def run(parts: BatchParts, *specs: Spec, reserved: tuple[str, ...] = ()) -> list[Result]:
    results: list[Result] = []
    batch.run(parts, specs, networks=LOOPBACK, finish=results.append, reserved=reserved)
    return results


def test_what_the_gateway_shows_rightly_is_no_part_of_a_change_for_another_publish(
    parts: BatchParts, driver: Recorded
) -> None:
    standing, spec = live(), live()
    run(parts, standing)
    run(parts, spec)
    assert driver.calls == [{standing.publish_id}, {spec.publish_id}]


def test_what_the_gateway_shows_older_is_part_of_it_and_what_it_shows_newer_or_not_at_all_is_none(
    bench: Bench, parts: BatchParts, driver: Recorded
) -> None:
    older, newer, lost, spec = live(), live(), live(), live()
    run(parts, *(live(first.publish_id, generation=2, host=first.host) for first in (older, newer, lost)))
    carried = bench.gateway.carried
    carried[older.publish_id] = hold(older)
    carried[newer.publish_id] = hold(withdrawn(newer, generation=3))
    del carried[lost.publish_id]
    run(parts, spec)
    assert driver.calls[-1] == {older.publish_id, spec.publish_id}


def test_a_gateway_that_cannot_be_read_is_not_written_to(
    bench: Bench, parts: BatchParts, driver: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*, hasty: bool = False) -> None:
        raise Unreachable("It answers nonsense.")

    monkeypatch.setattr(driver, "observe", fail)
    (result,) = run(parts, live())
    assert (result.outcome, result.step, result.message) == (
        Outcome.UNREACHABLE,
        "apply",
        "It answers nonsense.",
    )
    assert (driver.calls, bench.gateway.changes) == ([], [])


def test_what_the_driver_did_not_answer_is_unreachable_and_stays_pending(
    bench: Bench, parts: BatchParts, driver: Recorded
) -> None:
    spec = live()
    driver.unanswered = frozenset({spec.publish_id})
    (result,) = run(parts, spec)
    assert (result.outcome, result.code) == (Outcome.UNREACHABLE, "update_not_taken")
    assert [pinned_spec.spec for pinned_spec in bench.store.pending()] == [spec]


def test_what_the_driver_left_alone_is_stale_and_not_pending(
    bench: Bench, parts: BatchParts, driver: Recorded
) -> None:
    spec = live()
    driver.ahead = {spec.publish_id: 7}
    (result,) = run(parts, spec)
    assert (result.outcome, result.highest_generation) == (Outcome.STALE, 7)
    assert bench.store.pending() == []


def test_the_ports_that_the_control_plane_reserves_are_no_upstream_s(parts: BatchParts) -> None:
    (result,) = run(parts, live(port=7777), reserved=("127.0.0.1:7777",))
    assert (result.outcome, result.code) == (Outcome.REFUSED, "reserved")


def test_a_generation_that_the_fence_refused_counts_as_the_highest(parts: BatchParts) -> None:
    spec = live(generation=5, services=(make_service(80, host="169.254.169.254"),))
    assert run(parts, spec)[0].outcome == Outcome.REFUSED
    (result,) = run(parts, live(spec.publish_id, generation=4))
    assert (result.outcome, result.highest_generation) == (Outcome.STALE, 5)


def test_a_name_server_that_is_away_is_worth_another_try(bench: Bench) -> None:
    def resolver(_host: str, _port: int) -> list[Address]:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    bench.start()
    pinner = Pinner(resolver=resolver)
    parts = BatchParts(driver=bench.driver, store=bench.store, pinner=pinner, reserved=())
    (result,) = run(parts, live(services=(make_service(80, host="up.example"),)))
    assert (result.outcome, result.code) == (Outcome.UNREACHABLE, "resolver_unavailable")


def test_a_gateway_that_has_not_lost_everything_is_not_filled(
    bench: Bench, parts: BatchParts, driver: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = live()
    run(parts, spec)
    batch.restore(parts)
    assert driver.calls == [{spec.publish_id}]
    monkeypatch.setattr(driver, "is_empty", lambda: True)
    bench.gateway.carried.clear()
    batch.restore(parts)
    assert bench.carried(spec) == 1


def test_the_newest_word_on_upstream_networks_counts(tmp_path: Path) -> None:
    worker = Worker(
        BatchParts(driver=MemoryDriver(MemoryGateway()), store=Store(tmp_path), pinner=Pinner(), reserved=())
    )
    first = worker.submit([Item(spec=live())], networks=("10.0.0.0/8",))
    second = worker.submit([Item(spec=live())], networks=LOOPBACK)
    worker.work_once()
    assert {result.outcome for result in results_of([*first, *second])} == {Outcome.VERIFIED}
    assert Store(tmp_path).networks == LOOPBACK
