"""Parts that die or freeze: each test asserts the database, the gateway and the history at the end."""

import time

import httpx2

from tests.faults.stack import OPEN, Publish, Stack, eventually


def assert_live(stack: Stack, publish: Publish) -> None:
    """Gateway, status and history agree, and nothing was done twice."""
    assert publish.status == "PUBLISHED"
    assert publish.transitions() == ["DRAFT", "PUBLISHED"]
    assert stack.at_gateway(publish.host, "/billing").status_code == 200


def runs_again(stack: Stack, part: str, *, not_as: int) -> None:
    """The supervisor has started the part anew."""
    eventually(lambda: stack.file.exists() and stack.pid(part) != not_as, within_s=15)


def test_f5_the_worker_is_killed_between_click_and_answer(stack: Stack, publish: Publish) -> None:
    old = stack.pid("worker")
    asked = publish.ask("publish")
    stack.kill("worker")
    assert publish.ended(asked, within_s=15)["phase"] == "SUCCEEDED"
    assert_live(stack, publish)
    runs_again(stack, "worker", not_as=old)


def test_f4_the_worker_is_killed_in_the_middle_of_a_push(stack: Stack, publish: Publish) -> None:
    old = stack.pid("worker")
    with stack.frozen("agent"):
        asked = publish.ask("publish")
        eventually(lambda: publish.api.get(asked.headers["Location"]).json()["deliveries"][0]["phase"] == "SENT", within_s=5)
        stack.kill("worker")
    assert publish.ended(asked, within_s=15)["phase"] == "SUCCEEDED"
    assert_live(stack, publish)
    runs_again(stack, "worker", not_as=old)


def test_f2_the_broker_is_frozen_and_the_answer_comes_all_the_same(stack: Stack, publish: Publish) -> None:
    with stack.frozen("broker"):
        started = time.monotonic()
        asked = publish.ask("publish")
        assert time.monotonic() - started < 1.5
        assert asked.status_code == 202
    assert publish.ended(asked, within_s=15)["phase"] == "SUCCEEDED"
    assert_live(stack, publish)


def test_f1_the_broker_is_dead_and_the_answer_comes_all_the_same(stack: Stack, publish: Publish) -> None:
    old = stack.pid("broker")
    stack.kill("broker")
    started = time.monotonic()
    asked = publish.ask("publish")
    assert time.monotonic() - started < 1.5
    assert publish.ended(asked, within_s=20)["phase"] == "SUCCEEDED"
    assert_live(stack, publish)
    runs_again(stack, "broker", not_as=old)


def test_f7_the_agent_is_killed_in_the_middle_and_what_was_live_stays_live(stack: Stack, api: httpx2.Client, publish: Publish) -> None:
    publish.run("publish")
    second = stack.draft(api)
    old = stack.pid("agent")
    asked = second.ask("publish")
    stack.kill("agent")
    seen: list[int] = []

    def ended_while_the_first_one_is_watched() -> dict[str, str] | None:
        seen.append(stack.at_gateway(publish.host, "/billing").status_code)
        operation: dict[str, str] = api.get(asked.headers["Location"]).json()
        return operation if operation["phase"] not in OPEN else None

    operation = eventually(ended_while_the_first_one_is_watched, within_s=20)
    assert operation["phase"] == "SUCCEEDED"
    assert set(seen) == {200}
    assert_live(stack, second)
    runs_again(stack, "agent", not_as=old)
    second.clean_up()


def test_the_gateway_goes_on_serving_while_the_whole_control_plane_is_stopped(stack: Stack, publish: Publish) -> None:
    publish.run("publish")
    with stack.frozen("web", "worker", "beat", "broker", "postgres", "agent"):
        assert {stack.at_gateway(publish.host, "/billing").status_code for _ in range(20)} == {200}
    eventually(lambda: publish.status == "PUBLISHED", within_s=10)


def test_a_killed_gateway_serves_again_from_its_files(stack: Stack, publish: Publish) -> None:
    publish.run("publish")
    old = stack.pid("gateway")
    stack.kill("gateway")
    runs_again(stack, "gateway", not_as=old)
    eventually(lambda: answers(stack, publish) == 200, within_s=10)
    assert_live(stack, publish)


def answers(stack: Stack, publish: Publish) -> int:
    try:
        return stack.at_gateway(publish.host, "/billing").status_code
    except httpx2.HTTPError:
        return 0


def test_f8_a_gateway_that_is_away_is_named_and_publishing_succeeds_when_it_is_back(stack: Stack, publish: Publish) -> None:
    with stack.frozen("gateway"):
        asked = publish.ask("publish")
        words = eventually(lambda: publish.api.get(asked.headers["Location"]).json()["deliveries"][0]["message"], within_s=15)
        assert words
        assert publish.status == "DRAFT"
    assert publish.ended(asked, within_s=30)["phase"] == "SUCCEEDED"
    assert_live(stack, publish)


def test_f20_the_database_is_restarted_in_the_middle(stack: Stack, publish: Publish) -> None:
    old = stack.pid("postgres")
    asked = publish.ask("publish")
    stack.kill("postgres")
    runs_again(stack, "postgres", not_as=old)
    eventually(lambda: publish.api.get(publish.path).status_code == 200, within_s=15)
    assert publish.ended(asked, within_s=20)["phase"] == "SUCCEEDED"
    assert_live(stack, publish)
