"""A gateway's way to its agent refuses, breaks, or loses answers; one of many always fails."""

import time
from uuid import uuid4

import httpx2
import pytest

from agent.protocol.messages import Item, Outcome, Result
from agent.protocol.spec import Spec
from tests.agent.doubles import absent, live, withdrawn
from tests.faults.agreement import agree, page_of, served_publishes
from tests.faults.publish import Publish, clean_up
from tests.faults.sender import Sender
from tests.faults.stack import Stack, eventually
from tests.faults.table import note

BROKEN = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 5\r\nconnection: close\r\n\r\nouch\n"


def message(publish: Publish, answer: httpx2.Response) -> str:
    """The first message of an agent."""
    return next((row["message"] for row in publish.operation(answer)["deliveries"] if row["message"]), "")


def test_f8_a_gateway_that_refuses_connections_is_named_and_it_succeeds_when_that_is_back(
    stack: Stack, publish: Publish
) -> None:
    with stack.weather("xds-", refuses=True):
        accepted = publish.ask("publish")
        text = eventually(lambda: message(publish, accepted), within_s=15)
        assert "No Envoy asks this agent" in text
        assert "Will be tried again" in page_of(stack, publish)
        assert publish.status == "DRAFT"
    took = agree(stack, publish, "PUBLISHED", within_s=15)
    note(
        "F8",
        "shown with its words and 'will be tried again'; the gateway back: PUBLISHED",
        seconds=took,
        bound_s=15,
    )


@pytest.mark.long
def test_f8_the_pauses_double_and_at_the_deadline_it_fails_and_trying_again_works(
    stack: Stack, publish: Publish
) -> None:
    pauses: dict[int, float] = {}
    with stack.weather("xds-", refuses=True):
        accepted = publish.ask("publish")

        def has_paused_often() -> bool:
            query = (
                "SELECT d.attempt, extract(epoch FROM d.due_at - d.updated_at) FROM publishes_delivery d"
                " WHERE d.operation_id = %s AND d.phase = 'QUEUED' AND d.attempt > 0"
            )
            pauses.update(
                {attempt: float(pause) for attempt, pause in stack.rows(query, accepted.json()["id"])}
            )
            return len(pauses) >= 4

        eventually(has_paused_often, within_s=60)
        for attempt, pause in pauses.items():
            assert 0.75 * 2 ** (attempt - 1) <= pause <= 1.25 * 2 ** (attempt - 1), pauses
        stack.rows("UPDATE publishes_operation SET deadline_at = now() WHERE id = %s", accepted.json()["id"])
        failed = publish.ended(accepted, within_s=15)
        assert failed["phase"] == "FAILED"
        assert "No Envoy asks this agent" in failed["error"]
        assert "Publishing failed" in page_of(stack, publish)
    agree(stack, publish, "DRAFT", within_s=45)
    path = f"/provider/products/{stack.facts['product_id']}/publishes/{publish.id}"
    began = time.monotonic()
    assert stack.browser.send(f"{path}/retry", form_path=path).status_code == 200
    took = agree(stack, publish, "PUBLISHED", within_s=10, since=began)
    shown = ", ".join(f"{pauses[attempt]:.1f}" for attempt in sorted(pauses))
    note(
        "F8",
        f"pauses {shown} s; FAILED with its words at the deadline and taken off; 'try again': PUBLISHED",
        seconds=took,
        bound_s=10,
    )


@pytest.mark.long
@pytest.mark.parametrize(
    "weather",
    [{"instead": BROKEN}, {"swallows": True}, {"resets": True}, {"cut_after": 20}],
    ids=lambda weather: next(iter(weather)),
)
def test_f9_a_gateway_that_answers_wrongly_for_a_moment_is_asked_again(
    stack: Stack, publish: Publish, weather: dict[str, object]
) -> None:
    with stack.weather("xds-", **weather):
        accepted = publish.ask("publish")
        text = eventually(lambda: message(publish, accepted), within_s=20)
    took = agree(stack, publish, "PUBLISHED", within_s=20)
    note("F9", f"{next(iter(weather))}: {text[:70]}; tried again, PUBLISHED", seconds=took, bound_s=20)


@pytest.mark.long
def test_f10_what_was_taken_although_the_answer_was_lost_is_found_as_it_should_be(
    stack: Stack, publish: Publish
) -> None:
    with stack.weather("xds-", latency_s=0.25):
        accepted = publish.ask("publish")
        eventually(
            lambda: all(publish.id in served_publishes(stack, agent) for agent in stack.agents),
            within_s=20,
            every_s=0.005,
        )
        for agent in stack.agents:
            stack.holes[f"xds-{agent}"].reset_all()
    assert accepted.status_code == 202
    took = agree(stack, publish, "PUBLISHED", within_s=20)
    note(
        "F10",
        "Envoy had taken it, its answer was lost: it said so when it came back",
        seconds=took,
        bound_s=20,
    )


def all_count(stack: Stack) -> None:
    """Wait until every agent has reported that its gateway answers: only such agents are waited for."""
    query = (
        "SELECT count(*) FROM clusters_agentliveness"
        " WHERE gateway_ok AND last_seen_at > now() - interval '15 seconds'"
    )
    eventually(lambda: stack.rows(query) == [(len(stack.agents),)], within_s=30, every_s=0.2)


def send(stack: Stack, agent: str, spec: Spec) -> Result:
    """A command of a control plane that knew this publish, say before its backup was put back."""
    sender = Sender(stack, agent)
    sealed = sender.sealed(Item(spec=spec, delivery=uuid4(), token=uuid4()))
    (answer,) = sender.send(sealed)
    return sender.opened(answer, answers=sealed)


@pytest.mark.long
def test_f11_a_host_that_another_publish_has_is_refused_and_left_alone(
    stack: Stack, publish: Publish
) -> None:
    agent, forgotten = stack.agents[0], withdrawn(live(host=publish.host), generation=1)
    all_count(stack)
    assert send(stack, agent, forgotten).outcome == Outcome.VERIFIED
    began = time.monotonic()
    failed = publish.ended(publish.ask("publish"), within_s=20)
    took = time.monotonic() - began
    assert (failed["phase"], failed["error_code"]) == ("FAILED", "host_taken")
    assert "refused" in page_of(stack, publish)
    assert stack.at_gateway(publish.host, "/billing", agent=agent).status_code == 410
    assert send(stack, agent, absent(forgotten, generation=2)).outcome == Outcome.VERIFIED
    agree(stack, publish, "DRAFT", within_s=20)
    note("F11", "refused with the agent's words; what had the host is as it was", seconds=took)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_f27_one_that_is_always_refused_does_not_keep_a_hundred_others(
    stack: Stack, api: httpx2.Client, publish: Publish
) -> None:
    agent, good = stack.agents[0], [stack.draft(api) for _ in range(100)]
    forgotten = withdrawn(live(host=publish.host), generation=1)
    all_count(stack)
    assert send(stack, agent, forgotten).outcome == Outcome.VERIFIED
    accepted = [healthy.ask("publish") for healthy in good[:50]]
    bad = publish.ask("publish")
    accepted += [healthy.ask("publish") for healthy in good[50:]]
    began = time.monotonic()
    assert {answer.status_code for answer in accepted} == {202}
    query = "SELECT count(*) FROM publishes_productpublish WHERE status = 'PUBLISHED' AND id = ANY(%s)"
    eventually(
        lambda: stack.rows(query, [healthy.id for healthy in good]) == [(100,)], within_s=90, every_s=0.2
    )
    took = time.monotonic() - began
    failed = publish.ended(bad, within_s=20)
    assert (failed["phase"], failed["error_code"]) == ("FAILED", "host_taken")
    assert {
        stack.at_gateway(healthy.host, "/billing", agent=name).status_code
        for healthy in good
        for name in stack.agents
    } == {200}
    assert send(stack, agent, absent(forgotten, generation=2)).outcome == Outcome.VERIFIED
    agree(stack, publish, "DRAFT", within_s=20)
    agree(stack, good[0], "PUBLISHED", within_s=10)
    clean_up(good)
    note(
        "F27",
        "100 PUBLISHED on 3 agents after the last click, the bad one FAILED with its reason",
        seconds=took,
        bound_s=30,
    )
    assert took <= 30
