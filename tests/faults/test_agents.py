"""Agents are killed, away, new, or hear things twice, late and in the wrong order."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from agent.protocol.messages import Outcome
from demo.embedded import envoy_binary
from demo.folder import free_port
from demo.process import ROOT
from tests.faults.agreement import agree, page_of
from tests.faults.publish import Publish
from tests.faults.sender import Sender
from tests.faults.stack import Stack, eventually
from tests.faults.table import note
from tests.faults.watching import watched

HEARTBEAT_S = 12.0
"""The interval with its jitter."""

FILES = ("state.sqlite3-wal", "envoy/resources.sqlite3-wal")
"""The first changes before the gateway hears of a publish, the second when it has taken it."""


def kill_when_written(stack: Stack, agent: str, file: str, *, before: dict[str, int]) -> None:
    """kill -9 of the agent as soon as one of its files is another one than before.

    Its slow gateway holds it between two writes.
    """
    path = stack.state_of(agent) / file
    give_up_at = time.monotonic() + 15
    while path.stat().st_mtime_ns == before[file]:
        assert time.monotonic() < give_up_at, f"{file} was not written"
        time.sleep(0.001)
    stack.kill(agent)


def written(stack: Stack, agent: str) -> dict[str, int]:
    """When each of an agent's files was written last; 0 for one that is not there yet."""
    paths = {file: stack.state_of(agent) / file for file in FILES}
    return {file: path.stat().st_mtime_ns if path.exists() else 0 for file, path in paths.items()}


@pytest.mark.parametrize("point", [0, pytest.param(1, marks=pytest.mark.long)])
def test_f7_killed_between_its_writes_it_completes_the_generation_and_what_was_live_stays_live(
    stack: Stack, api: httpx2.Client, publish: Publish, point: int
) -> None:
    publish.run("publish")
    second, agent = stack.draft(api), stack.agents[point]
    dead, before = stack.pid(agent), written(stack, agent)
    with watched(stack, publish, agents=[agent]) as statuses:
        with stack.weather(f"xds-{agent}", latency_s=0.25):
            second.ask("publish")
            kill_when_written(stack, agent, FILES[point], before=before)
            began = time.monotonic()
        took = agree(stack, second, "PUBLISHED", within_s=20, since=began)
    stack.runs_again(agent, not_as=dead)
    assert set(statuses[publish.id]) == {200}
    assert stack.rows("SELECT generation FROM publishes_productpublish WHERE id = %s", second.id) == [(1,)]
    agree(stack, publish, "PUBLISHED", within_s=5)
    second.clean_up()
    note(
        "F7",
        f"killed after {FILES[point]} was written: completed; "
        f"{len(statuses[publish.id])} requests to the live one, all 200",
        seconds=took,
        bound_s=20,
    )


@pytest.mark.long
@pytest.mark.parametrize("file", FILES)
def test_f7_killed_between_the_writes_of_a_withdrawal_it_completes_it(
    stack: Stack, api: httpx2.Client, publish: Publish, file: str
) -> None:
    publish.run("publish")
    second, agent = stack.draft(api), stack.agents[FILES.index(file)]
    second.run("publish")
    dead, before = stack.pid(agent), written(stack, agent)
    with watched(stack, publish, agents=[agent]) as statuses:
        with stack.weather(f"xds-{agent}", latency_s=0.25):
            second.ask("withdraw", reason="killed meanwhile")
            kill_when_written(stack, agent, file, before=before)
            began = time.monotonic()
        took = agree(stack, second, "WITHDRAWN", within_s=20, since=began)
    stack.runs_again(agent, not_as=dead)
    assert set(statuses[publish.id]) == {200}
    second.clean_up()
    note(
        "F7",
        f"withdrawal, killed after {file}: completed; the other publish never answered anything but 200",
        seconds=took,
        bound_s=20,
    )


@pytest.mark.long
def test_f12_the_answer_is_lost_and_the_next_heartbeat_tells(stack: Stack, publish: Publish) -> None:
    began = time.monotonic()
    with stack.weather("agent-", mute=True):
        publish.ask("publish")
        took = agree(stack, publish, "PUBLISHED", within_s=HEARTBEAT_S + 4, since=began)
    note(
        "F12",
        "applied, answers lost: the agents' heartbeats told it, PUBLISHED",
        seconds=took,
        bound_s=HEARTBEAT_S + 4,
    )


def test_f13_one_command_five_times_is_applied_once(stack: Stack, publish: Publish) -> None:
    """Three at once and two after those: equal answers but for what was measured, and one change at most.

    Commands share a measurement only while they wait for the same work. At most one of the measurements
    tells of a change, as a heartbeat may have fetched the generation before the first command came.
    """
    agent = stack.agents[0]
    before = written(stack, agent)
    with stack.weather("agent-", refuses=True):
        publish.ask("publish")
        sender = Sender(stack, agent)
        item = sender.item(publish, generation=1)
        commands = [sender.sealed(item) for _ in range(5)]
        began = time.monotonic()
        answers = sender.send(*commands[:3])
        after = written(stack, agent)
        assert after != before
        answers += [answer for command in commands[3:] for answer in sender.send(command)]
        results = [
            sender.opened(answer, answers=command) for answer, command in zip(answers, commands, strict=True)
        ]
        assert {result.outcome for result in results} == {Outcome.VERIFIED}
        assert len({result.model_dump_json(exclude={"evidence"}) for result in results}) == 1
        assert [result.evidence.changes for result in results[3:]] == [0, 0]
        assert len({str(result.evidence) for result in results if result.evidence.changes}) <= 1
        # The very same message again is no command any more.
        assert {answer.status_code for answer in sender.send(*[commands[0]] * 5)} == {409}
        assert written(stack, agent) == after
    took = agree(stack, publish, "PUBLISHED", within_s=HEARTBEAT_S + 10, since=began)
    note(
        "F13",
        "five times, at once and apart: one apply, equal answers, one transition;"
        " the same message again: 409",
        seconds=took,
    )


def test_f14_an_older_generation_that_comes_late_is_refused(stack: Stack, publish: Publish) -> None:
    publish.run("publish")
    sender = Sender(stack, stack.agents[0])
    late = sender.sealed(sender.item(publish, generation=1))
    publish.run("withdraw", reason="before it comes")
    agree(stack, publish, "WITHDRAWN", within_s=5)
    before = written(stack, stack.agents[0])
    (answer,) = sender.send(late)
    result = sender.opened(answer, answers=late)
    assert (result.outcome, result.highest_generation) == (Outcome.STALE, 2)
    assert (
        written(stack, stack.agents[0])["envoy/resources.sqlite3-wal"]
        == before["envoy/resources.sqlite3-wal"]
    )
    took = agree(stack, publish, "WITHDRAWN", within_s=5)
    note(
        "F14",
        "generation 1 after 2: refused as stale, nothing was written, the gateway stays at 2",
        seconds=took,
    )


@pytest.mark.long
def test_f17_one_of_three_is_away_is_named_and_catches_up(stack: Stack, publish: Publish) -> None:
    away, *_present = stack.agents
    with stack.frozen(away):
        forget_heartbeat(stack, away)
        publish.run("publish")
        text = page_of(stack, publish)
        assert "2 of 3 agents serve v1" in text
        assert f"{away} silent for 3" in text
    took = agree(stack, publish, "PUBLISHED", within_s=HEARTBEAT_S)
    note(
        "F17",
        "2 of 3 shown and the absent one named; back again, it caught up",
        seconds=took,
        bound_s=HEARTBEAT_S,
    )


@pytest.mark.long
def test_what_an_absent_agent_missed_it_never_serves(stack: Stack, publish: Publish) -> None:
    publish.run("publish")
    away = stack.agents[0]
    with stack.frozen(away):
        forget_heartbeat(stack, away)
        publish.run("withdraw", reason="while it is away")
    took = agree(stack, publish, "WITHDRAWN", within_s=HEARTBEAT_S)
    note(
        "F17",
        "withdrawn while one was away: it answers 410 as soon as it is back",
        seconds=took,
        bound_s=HEARTBEAT_S,
    )


@pytest.mark.long
def test_f18_a_new_agent_gets_all_that_its_cluster_serves(
    stack: Stack, publish: Publish, tmp_path: Path
) -> None:
    publish.run("publish")
    with newcomer(stack, tmp_path) as (name, proxy):
        began = time.monotonic()
        eventually(lambda: caller_gets(stack, proxy, publish) == 200, within_s=30)
        took = time.monotonic() - began
        eventually(lambda: "4 of 4 agents serve v1" in page_of(stack, publish), within_s=HEARTBEAT_S)
        stack.django(f"from clusters.models import Agent; Agent.objects.filter(name='{name}').delete()")
    note(
        "F18",
        "a fourth agent joined and served what is published there; the page counts it",
        seconds=took,
        bound_s=10,
    )
    assert took <= 10


def forget_heartbeat(stack: Stack, agent: str) -> None:
    """Wait until a frozen agent was last heard of 31 seconds ago; its messages have been taken by then."""
    time.sleep(1)
    stack.rows(
        "UPDATE clusters_agentliveness SET last_seen_at = now() - interval '31 seconds' WHERE agent_id = %s",
        stack.agent(agent)["id"],
    )


def caller_gets(stack: Stack, proxy: str, publish: Publish) -> int:
    """0 when nobody listens."""
    try:
        return stack.gateway_client.get(f"http://{proxy}/billing", headers={"Host": publish.host}).status_code
    except httpx2.HTTPError:
        return 0


@contextmanager
def newcomer(stack: Stack, folder: Path) -> Iterator[tuple[str, str]]:
    """An agent enrolled as an operator would, with an Envoy; its name and its proxy. It starts at once."""
    name, state = "prod-4", folder / "state"
    env = stack.operators_environment
    listen, proxy, admin = (f"127.0.0.1:{free_port()}" for _ in range(3))
    code = stack.operator(
        "manage.py", "enroll_agent", "--cluster", stack.cluster_name, "--name", name
    ).splitlines()[-1]
    endpoints = ("--listen", listen, "--proxy", proxy, "--admin", admin)
    stack.operator(
        "-m", "agent", "enroll", "--code", code, "--state", str(state), "--driver", "envoy", *endpoints
    )
    commands = [
        [
            str(envoy_binary()),
            "-c",
            str(state / "envoy" / "bootstrap.json"),
            "--use-dynamic-base-id",
            "-l",
            "off",
        ]
    ]
    commands += [[sys.executable, "-m", "agent", "run", "--state", str(state)]]
    log = (folder / "newcomer.log").open("ab")
    children = [
        subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True)
        for command in commands
    ]
    try:
        yield name, proxy
    finally:
        for child in children:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
