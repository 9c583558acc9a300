"""The single writer with a gateway in memory: order, fences, sharing, batches."""

import threading
from pathlib import Path

import pytest

from agent.drivers.base import Refused
from agent.drivers.memory import MemoryDriver
from agent.protocol.messages import Item, Outcome
from agent.protocol.spec import Auth, AuthMode, State
from agent.work.batch import BatchParts
from agent.work.state import Store
from agent.work.upstreams import Pinner
from agent.work.worker import Ticket, Worker
from tests.agent.bench import Bench, results_of
from tests.agent.doubles import LOOPBACK, absent, live, make_service, until, withdrawn


def test_a_spec_is_applied_proved_and_remembered(bench: Bench) -> None:
    bench.start()
    spec = live()
    (result,) = bench.bring(spec)
    assert (result.outcome, result.step, result.generation, result.digest) == (
        Outcome.VERIFIED,
        "verify",
        1,
        spec.digest,
    )
    assert (result.evidence.probes, result.evidence.bursts, result.evidence.changes) == (48, 2, 1)
    record = Store(bench.folder).records[spec.publish_id]
    assert record.good is not None
    assert (record.highest, record.good.spec, record.pending) == (1, spec, None)


def test_a_host_that_another_publish_of_the_gateway_has_is_refused_in_words_that_say_what_to_do(
    bench: Bench,
) -> None:
    bench.start()
    forgotten = live()
    again = live().model_copy(update={"host": forgotten.host})
    bench.bring(forgotten)
    (result,) = bench.bring(again)
    assert (result.outcome, result.code, result.entity) == (Outcome.REFUSED, "host_taken", forgotten.host)
    assert "for another publish" in result.message
    assert "An operator has to take that one off first." in result.message
    assert (bench.carried(forgotten), bench.carried(again)) == (1, None)
    changed = bench.submit(absent(forgotten, generation=2), again.model_copy(update={"generation": 2}))
    assert [result.outcome for result in results_of(changed)] == [Outcome.VERIFIED] * 2


def test_results_carry_the_delivery_and_token_of_their_item(bench: Bench) -> None:
    bench.start()
    tickets = bench.submit(live(), live())
    for ticket, result in zip(tickets, results_of(tickets), strict=True):
        assert (result.delivery, result.token) == (ticket.item.delivery, ticket.item.token)
        assert result.publish_id == ticket.item.spec.publish_id


def test_a_lower_generation_is_refused_as_stale(bench: Bench) -> None:
    bench.start()
    spec = live(generation=5)
    bench.bring(spec)
    (result,) = bench.bring(live(spec.publish_id, generation=4))
    assert (result.outcome, result.code, result.highest_generation) == (Outcome.STALE, "stale", 5)
    assert bench.carried(spec) == 5
    assert len(bench.gateway.changes) == 1


def test_the_same_generation_with_other_content_is_left_to_the_control_plane(bench: Bench) -> None:
    bench.start()
    spec = live(generation=5)
    bench.bring(spec)
    second = withdrawn(spec, generation=5)
    (result,) = bench.bring(second)
    assert (result.outcome, result.code, result.highest_generation) == (Outcome.STALE, "other_content", 5)
    assert len(bench.gateway.changes) == 1
    assert bench.bring(spec)[0].outcome == Outcome.VERIFIED


def test_within_one_batch_the_highest_generation_wins(bench: Bench) -> None:
    spec = live(generation=4)
    tickets = bench.submit(live(spec.publish_id, generation=5), spec, live(spec.publish_id, generation=3))
    bench.start()
    assert [(result.outcome, result.highest_generation) for result in results_of(tickets)] == [
        (Outcome.VERIFIED, 5),
        (Outcome.STALE, 5),
        (Outcome.STALE, 5),
    ]
    assert len(bench.gateway.changes) == 1


def test_the_generation_fence_survives_restart_and_removal(bench: Bench) -> None:
    bench.start()
    spec = live(generation=1)
    bench.bring(spec, live())
    bench.bring(absent(spec, generation=2))
    bench.worker.stop(timeout_s=1)
    bench.open()
    bench.start()
    (result,) = bench.bring(spec)
    assert (result.outcome, result.highest_generation) == (Outcome.STALE, 2)
    assert bench.carried(spec) is None


def test_a_gateway_that_is_newer_than_the_agent_is_not_touched(bench: Bench, tmp_path: Path) -> None:
    bench.start()
    spec = live(generation=9)
    bench.bring(spec)
    fresh = tmp_path / "restored"
    fresh.mkdir()
    second = Worker(BatchParts(driver=bench.driver, store=Store(fresh), pinner=Pinner(), reserved=()))
    second.start()
    points: list[str] = []
    bench.gateway.before = points.append
    tickets = second.submit([Item(spec=live(spec.publish_id, generation=8))], networks=LOOPBACK)
    (result,) = results_of(tickets)
    second.stop(timeout_s=1)
    assert (result.outcome, result.highest_generation) == (Outcome.STALE, 9)
    assert bench.carried(spec) == 9
    assert (points, Store(fresh).records) == (["observe"], {})


def test_the_same_generation_again_changes_nothing_and_is_proved_again(bench: Bench) -> None:
    bench.start()
    spec = live()
    first, second = bench.bring(spec)[0], bench.bring(spec)[0]
    assert (first.evidence.changes, second.evidence.changes) == (1, 0)
    assert second.outcome == Outcome.VERIFIED
    assert second.evidence.probes == 48
    assert len(bench.gateway.changes) == 1


def test_what_was_lost_on_the_gateway_is_written_again(bench: Bench) -> None:
    bench.start()
    spec = live()
    bench.bring(spec)
    bench.gateway.carried.clear()
    assert bench.bring(spec)[0].evidence.changes == 1
    assert bench.carried(spec) == 1


def test_five_equal_commands_at_once_share_one_apply(bench: Bench) -> None:
    spec = live()
    tickets: list[Ticket] = []
    for _ in range(5):
        tickets += bench.submit(spec)
    bench.start()
    results = results_of(tickets)
    assert (
        len(
            {
                result.model_copy(update={"delivery": None, "token": None}).model_dump_json()
                for result in results
            }
        )
        == 1
    )
    assert {result.outcome for result in results} == {Outcome.VERIFIED}
    assert len({result.token for result in results}) == 5
    assert bench.gateway.changes == [{spec.publish_id}]


def test_five_equal_commands_that_come_apart_are_one_change_and_differ_in_what_was_measured_alone(
    bench: Bench,
) -> None:
    spec, tickets = live(), list[Ticket]()

    def submit_again(point: str) -> None:
        if point == "verify":
            tickets.extend(bench.submit(spec))

    bench.gateway.before = submit_again
    tickets += bench.submit(spec)
    bench.start()
    results_of(tickets)
    bench.gateway.before = lambda _point: None
    for _ in range(3):
        tickets += bench.submit(spec)
        results_of(tickets)
    results = results_of(tickets)
    own = {"delivery", "token", "evidence"}
    assert len(results) == 5
    assert len({result.model_dump_json(exclude=own) for result in results}) == 1
    assert [result.evidence.changes for result in results] == [1, 1, 0, 0, 0]
    assert bench.gateway.changes == [{spec.publish_id}]


def test_what_waits_together_is_one_change(bench: Bench) -> None:
    specs = [live() for _ in range(20)]
    tickets = bench.submit(*specs)
    bench.start()
    assert {result.outcome for result in results_of(tickets)} == {Outcome.VERIFIED}
    assert bench.gateway.changes == [{spec.publish_id for spec in specs}]


def test_one_refused_spec_does_not_hurt_the_others(bench: Bench) -> None:
    good, bad = [live() for _ in range(5)], live()
    bench.gateway.refuse[bad.publish_id] = Refused(
        "no such thing", code="gateway_refused", entity="route 1", field="path"
    )
    tickets = bench.submit(*good[:3], bad, *good[3:])
    bench.start()
    results = results_of(tickets)
    assert [result.outcome for result in results] == [Outcome.VERIFIED] * 3 + [Outcome.REFUSED] + [
        Outcome.VERIFIED
    ] * 2
    assert (results[3].code, results[3].entity, results[3].field, results[3].message) == (
        "gateway_refused",
        "route 1",
        "path",
        "no such thing",
    )
    assert bench.carried(bad) is None
    assert bench.store.pending() == []


def test_a_refused_successor_leaves_the_good_generation_in_place(bench: Bench) -> None:
    bench.start()
    spec = live()
    bench.bring(spec)
    bench.gateway.refuse[spec.publish_id] = Refused("no", code="gateway_refused")
    assert bench.bring(live(spec.publish_id, generation=2))[0].outcome == Outcome.REFUSED
    assert bench.carried(spec) == 1
    bench.gateway.refuse.clear()
    assert bench.bring(live())[0].outcome == Outcome.VERIFIED
    assert bench.carried(spec) == 1


def test_an_auth_mode_that_the_driver_cannot_enforce_is_never_served_open(bench: Bench) -> None:
    bench.start()
    bench.gateway.auth_modes = (AuthMode.NONE, AuthMode.OAUTH2)
    spec = live(auth=Auth(mode=AuthMode.API_KEY))
    (result,) = bench.bring(spec)
    assert (result.outcome, result.code, result.entity, result.field) == (
        Outcome.REFUSED,
        "auth_mode_unsupported",
        "auth",
        "mode",
    )
    assert bench.gateway.changes == []


@pytest.mark.parametrize(
    ("host", "port", "code"),
    [
        ("169.254.169.254", 80, "special_address"),
        ("10.0.0.1", 80, "not_allowed"),
        ("127.0.0.1", 9901, "reserved"),
        ("127.0.0.2", 9901, "reserved"),
    ],
)
def test_an_upstream_outside_the_fence_never_reaches_the_gateway(
    bench: Bench, host: str, port: int, code: str
) -> None:
    bench.start()
    spec = live(services=(make_service(port, host=host),))
    (result,) = bench.bring(spec)
    assert (result.outcome, result.step, result.code) == (Outcome.REFUSED, "fence", code)
    assert (result.entity, result.field) == (f"upstream {host}:{port}", "host")
    assert bench.gateway.changes == []
    assert bench.bring(live(spec.publish_id, generation=1))[0].outcome == Outcome.VERIFIED


def test_withdrawn_and_absent_specs_pass(bench: Bench) -> None:
    bench.start()
    spec = live()
    bench.bring(spec)
    assert bench.bring(withdrawn(spec, generation=2))[0].outcome == Outcome.VERIFIED
    assert bench.gateway.carried[spec.publish_id].spec.state == State.WITHDRAWN
    assert bench.bring(absent(spec, generation=3))[0].outcome == Outcome.VERIFIED
    assert bench.carried(spec) is None
    record = bench.store.records[spec.publish_id]
    assert (record.highest, record.good and record.good.probe_host) == (3, spec.host)


def test_absence_is_not_asked_of_a_host_that_is_anothers_by_now(bench: Bench) -> None:
    bench.start()
    old = live(host="shared.localhost")
    bench.bring(old)
    new = live(host="shared.localhost")
    results = bench.bring(absent(old, generation=2), new)
    assert [result.outcome for result in results] == [Outcome.VERIFIED, Outcome.VERIFIED]
    good = bench.store.records[old.publish_id].good
    assert good is not None
    assert good.probe_host == ""


def test_an_absent_spec_of_an_unknown_publish_needs_no_proof(bench: Bench) -> None:
    bench.start()
    assert bench.bring(absent(live(), generation=4))[0].outcome == Outcome.VERIFIED
    assert bench.gateway.changes == []


def test_a_gateway_that_is_away_is_unreachable_and_tried_again(bench: Bench) -> None:
    bench.start()
    bench.gateway.away = True
    spec = live()
    (result,) = bench.bring(spec)
    assert (result.outcome, result.step, result.code) == (Outcome.UNREACHABLE, "apply", "unreachable")
    assert [pinned_spec.spec for pinned_spec in Store(bench.folder).pending()] == [spec]
    bench.gateway.away = False
    assert bench.bring(spec)[0].outcome == Outcome.VERIFIED


def test_what_cannot_be_proved_is_not_called_verified(bench: Bench) -> None:
    bench.start()
    spec, second_spec = live(), live()
    bench.gateway.unproved.add(spec.publish_id)
    unproved, proved = bench.bring(spec, second_spec)
    assert (unproved.outcome, unproved.step, unproved.code) == (Outcome.UNREACHABLE, "verify", "not_proved")
    assert proved.outcome == Outcome.VERIFIED
    assert [pinned_spec.spec for pinned_spec in bench.store.pending()] == [spec]


def test_two_agents_on_one_gateway_leave_each_others_publishes_alone(bench: Bench, tmp_path: Path) -> None:
    bench.start()
    own_spec, foreign_spec = live(), live()
    bench.bring(own_spec)
    (tmp_path / "other").mkdir()
    second = Worker(
        BatchParts(
            driver=MemoryDriver(bench.gateway), store=Store(tmp_path / "other"), pinner=Pinner(), reserved=()
        )
    )
    second.start()
    results_of(second.submit([Item(spec=foreign_spec)], networks=LOOPBACK))
    second.stop(timeout_s=1)
    bench.bring(live(own_spec.publish_id, generation=2))
    assert (bench.carried(own_spec), bench.carried(foreign_spec)) == (2, 1)


def test_a_bug_in_a_driver_ends_its_batch_not_the_worker(bench: Bench) -> None:
    bench.start()
    bugs = ["swap"]

    def fail_once(point: str) -> None:
        if point in bugs:
            raise LookupError(bugs.pop())

    bench.gateway.before = fail_once
    (result,) = bench.bring(live())
    assert (result.outcome, result.code) == (Outcome.UNREACHABLE, "agent_error")
    assert bench.bring(live())[0].outcome == Outcome.VERIFIED


def test_moved_upstreams_reach_the_gateway_with_the_same_generation(bench: Bench) -> None:
    bench.start()
    spec = live()
    bench.bring(spec)
    bench.worker.move({spec.publish_id: {"127.0.0.1:9": ("127.0.0.5",)}})
    until(
        lambda: bench.gateway.carried[spec.publish_id].addresses == {"127.0.0.1:9": ("127.0.0.5",)},
        description="the new address is there",
    )
    assert bench.carried(spec) == 1
    assert bench.store.pending() == []


def test_commands_that_come_while_the_gateway_is_slow_wait_for_the_next_batch(bench: Bench) -> None:
    bench.start()
    inside, go_on = threading.Event(), threading.Event()

    def hold(point: str) -> None:
        if point == "swap" and not inside.is_set():
            inside.set()
            assert go_on.wait(5)

    bench.gateway.before = hold
    first = bench.submit(live())
    assert inside.wait(5)
    later = bench.submit(live(), live())
    assert [ticket.result.outcome for ticket in first + later] == [Outcome.WORKING] * 3
    go_on.set()
    results_of(first + later)
    assert [len(change) for change in bench.gateway.changes] == [1, 2]
