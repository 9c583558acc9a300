"""The broker and the worker die, freeze or forget: the rows are the truth, and nobody has to click again."""

import os
import signal
import time

import httpx2
import pytest

from tests.faults.agreement import agree, page_of, served_publishes
from tests.faults.publish import OPEN, Publish, clean_up
from tests.faults.stack import Stack, eventually
from tests.faults.table import note


def test_f1_the_broker_is_stopped_and_the_answer_comes_at_once(stack: Stack, publish: Publish) -> None:
    publish.run("publish")
    publish.run("withdraw", reason="so that everything was imported once")
    with stack.weather("-broker", refuses=True):
        started = time.monotonic()
        accepted = publish.ask("publish")
        answered = time.monotonic() - started
        assert (accepted.status_code, accepted.json()["phase"]) == (202, "QUEUED")
        assert answered <= 1
        time.sleep(2)
    took = agree(stack, publish, "PUBLISHED", within_s=5)
    note(
        "F1",
        f"answered after {answered:.2f} s with an operation QUEUED; PUBLISHED once the broker was back",
        seconds=took,
        bound_s=5,
    )


def test_f2_the_broker_is_frozen_and_the_answer_comes_all_the_same(stack: Stack, publish: Publish) -> None:
    with stack.weather("-broker", swallows=True):
        started = time.monotonic()
        accepted = publish.ask("publish")
        answered = time.monotonic() - started
        assert accepted.status_code == 202
        assert answered <= 3
        again = publish.ask("publish")
        assert again.status_code == 409
    took = agree(stack, publish, "PUBLISHED", within_s=30)
    note("F2", f"answered after {answered:.2f} s, no 5xx; PUBLISHED", seconds=took)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_f3_the_broker_comes_back_empty_with_fifty_publishes_queued(stack: Stack, api: httpx2.Client) -> None:
    drafts = [stack.draft(api) for _ in range(50)]
    with stack.frozen("worker"):
        assert [draft.ask("publish").status_code for draft in drafts] == [202] * 50
        dead = stack.kill("broker")
        stack.runs_again("broker", not_as=dead)
    began = time.monotonic()
    eventually(lambda: all(draft.status == "PUBLISHED" for draft in drafts), within_s=60, every_s=0.5)
    took = time.monotonic() - began
    for agent in stack.agents:
        carried = served_publishes(stack, agent)
        assert [carried.count(draft.id) for draft in drafts] == [1] * 50
    for draft in drafts:
        assert draft.transitions() == ["DRAFT", "PUBLISHED"]
    agree(stack, drafts[0], "PUBLISHED", within_s=5)
    clean_up(drafts)
    note(
        "F3",
        "50 queued publishes PUBLISHED without a click, each once on every gateway",
        seconds=took,
        bound_s=30,
    )
    assert took <= 30


@pytest.mark.long
def test_f4_the_worker_is_killed_in_the_middle_of_a_push(stack: Stack, publish: Publish) -> None:
    with stack.weather("agent-", swallows=True):
        accepted = publish.ask("publish")
        eventually(
            lambda: {row["phase"] for row in publish.operation(accepted)["deliveries"]} == {"SENT"},
            within_s=10,
        )
        dead = stack.kill("worker")
    took = agree(stack, publish, "PUBLISHED", within_s=12)
    stack.runs_again("worker", not_as=dead)
    note("F4", "claimed again after the lease, PUBLISHED", seconds=took, bound_s=12)


@pytest.mark.long
def test_f5_the_worker_is_away_for_five_seconds_in_the_middle_of_a_push(
    stack: Stack, publish: Publish
) -> None:
    with stack.weather("agent-", swallows=True):
        accepted = publish.ask("publish")
        eventually(
            lambda: {row["phase"] for row in publish.operation(accepted)["deliveries"]} == {"SENT"},
            within_s=10,
        )
        dead, since = stack.kill("worker"), time.monotonic()
        while time.monotonic() - since < 5:
            if (pid := stack.pid("worker")) != dead:
                os.kill(pid, signal.SIGKILL)
                dead = pid
            time.sleep(0.05)
    took = agree(stack, publish, "PUBLISHED", within_s=12)
    stack.runs_again("worker", not_as=dead)
    note("F5", "no waiting for a visibility timeout, PUBLISHED", seconds=took, bound_s=12)


@pytest.mark.long
def test_f6_the_worker_stays_dead_and_the_agents_fetch_what_waits(stack: Stack, publish: Publish) -> None:
    began = time.monotonic()
    with stack.frozen("worker"):
        accepted = publish.ask("publish")
        assert accepted.status_code == 202
        took = agree(stack, publish, "PUBLISHED", within_s=15, since=began)
    note(
        "F6",
        "without a worker: agents fetched it with their next heartbeats, PUBLISHED",
        seconds=took,
        bound_s=15,
    )


@pytest.mark.long
def test_f6_the_page_and_readiness_say_that_the_worker_is_silent(stack: Stack, publish: Publish) -> None:
    home, page = (
        stack.facts["web_url"],
        f"/provider/products/{stack.facts['product_id']}/publishes/{publish.id}",
    )

    def is_shown() -> bool:
        facts = stack.browser.client.get(page).text
        return (
            "background work stands still" in facts
            and stack.gateway_client.get(f"{home}/readyz").status_code == 503
        )

    eventually(lambda: stack.gateway_client.get(f"{home}/readyz").status_code == 200, within_s=30)
    with stack.frozen("worker"):
        began = time.monotonic()
        eventually(is_shown, within_s=60, every_s=0.5)
        took = time.monotonic() - began
    eventually(lambda: stack.gateway_client.get(f"{home}/readyz").status_code == 200, within_s=15)
    note(
        "F6",
        "the page says that the background work stands still, readiness is red",
        seconds=took,
        bound_s=30,
    )
    assert took <= 30


def test_the_gateway_goes_on_serving_while_the_whole_control_plane_is_stopped(
    stack: Stack, publish: Publish
) -> None:
    publish.run("publish")
    with stack.frozen("web", "worker", "beat", "broker", "postgres", *stack.agents):
        assert {
            stack.at_gateway(publish.host, "/billing", agent=agent).status_code
            for _ in range(10)
            for agent in stack.agents
        } == {200}
    agree(stack, publish, "PUBLISHED", within_s=15)


@pytest.mark.long
def test_f20_the_database_is_restarted_in_the_middle(stack: Stack, publish: Publish) -> None:
    accepted = publish.ask("publish")
    dead = stack.pid("postgres")
    os.kill(dead, signal.SIGINT)
    stack.runs_again("postgres", not_as=dead)
    began = time.monotonic()
    # Each thread of the web server holds a connection that died: none of them may hand that to a caller.
    assert {publish.api.get(publish.path).status_code for _ in range(40)} == {200}
    took = agree(stack, publish, "PUBLISHED", within_s=15, since=began)
    assert publish.operation(accepted)["phase"] not in OPEN
    assert "PUBLISHED" in page_of(stack, publish)
    note(
        "F20",
        "restarted: not one failed request once it accepted again, the worker went on, PUBLISHED",
        seconds=took,
        bound_s=15,
    )
