"""Results that no command waits for are handed in in pieces, once each, without a look at a spec."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid4

import pytest

from agent.control_plane.client import ControlPlaneFailed
from agent.control_plane.postman import Postman
from agent.protocol.messages import Item, Outcome, Result
from agent.work.worker import Job, Ticket
from tests.agent.doubles import live


class Door:
    """Takes results; refuses all after so many requests."""

    def __init__(self, *, good_for: int = 1000) -> None:
        self.requests: list[list[Result]] = []
        self.good_for = good_for

    def results(self, results: Iterable[Result]) -> None:
        if len(self.requests) >= self.good_for:
            raise ControlPlaneFailed("No answer.")
        self.requests.append(list(results))


def tickets(count: int, *, are_finished: bool) -> list[Ticket]:
    new_tickets = [
        Ticket(item=Item(spec=live(), delivery=uuid4(), token=uuid4()), job=Job(spec=live(), networks=()))
        for _ in range(count)
    ]
    for ticket in new_tickets if are_finished else ():
        spec = ticket.item.spec
        ticket.job.result = Result(
            publish_id=spec.publish_id, generation=1, digest=spec.digest, outcome=Outcome.VERIFIED
        )
        ticket.job.finished.set()
    return new_tickets


def postman_with(door: Door, *followed: Ticket) -> Postman:
    postman: Any = Postman(door)  # type: ignore[arg-type]
    postman.follow(followed)
    return postman  # type: ignore[no-any-return]


def deliveries(requests: list[list[Result]]) -> list[UUID | None]:
    return [result.delivery for request in requests for result in request]


def test_at_most_a_hundred_go_in_one_request_and_each_of_them_once() -> None:
    finished, door = tickets(250, are_finished=True), Door()
    postman = postman_with(door, *finished)
    assert postman._hand_in(postman._sorted()[0], 0.0) == 0.0
    assert [len(request) for request in door.requests] == [100, 100, 50]
    assert deliveries(door.requests) == [ticket.item.delivery for ticket in finished]
    assert postman._sorted() == ([], [])


def test_what_was_handed_in_before_a_failure_is_not_sent_again() -> None:
    finished, door = tickets(250, are_finished=True), Door(good_for=1)
    postman = postman_with(door, *finished)
    assert postman._hand_in(postman._sorted()[0], 0.0) == 1.0
    assert len(postman._sorted()[0]) == 150
    door.good_for = 1000
    assert postman._hand_in(postman._sorted()[0], 1.0) == 0.0
    assert deliveries(door.requests) == [ticket.item.delivery for ticket in finished]


def test_what_is_under_way_is_told_and_followed_further() -> None:
    finished, working, door = tickets(1, are_finished=True), tickets(2, are_finished=False), Door()
    postman = postman_with(door, *finished, *working)
    postman._hand_in([*postman._sorted()[0], *postman._sorted()[1]], 0.0)
    assert [result.outcome for result in door.requests[0]] == [
        Outcome.VERIFIED,
        Outcome.WORKING,
        Outcome.WORKING,
    ]
    assert [ticket.item.delivery for ticket in postman._sorted()[1]] == [
        ticket.item.delivery for ticket in working
    ]


def test_sorting_compares_no_tickets_and_no_specs(monkeypatch: pytest.MonkeyPatch) -> None:
    def compared(*_: object) -> bool:
        raise AssertionError("two were compared")

    postman = postman_with(Door(), *tickets(20, are_finished=True), *tickets(20, are_finished=False))
    monkeypatch.setattr(Ticket, "__eq__", compared)
    assert [len(sorted_out) for sorted_out in postman._sorted()] == [20, 20]
