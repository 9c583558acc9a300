"""Wake-ups are hints: what they carry, and what a dead broker costs."""

import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock
from uuid import UUID, uuid4

import pytest
from celery import Celery, current_app

import config
from agent.protocol.messages import Command, CommandAnswer, Outcome
from clusters import client
from clusters.models import Agent
from publishes import sweeping, tasks
from publishes.engine import delivery, outbox
from publishes.verbs import publishing
from tests.world import Voice, World


@pytest.fixture
def wake_ups_sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What is put on the broker."""
    messages: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        current_app, "send_task", lambda name, args, **_options: messages.append((name, args))
    )
    return messages


@pytest.fixture
def dead_broker() -> Iterator[Celery]:
    """A Celery app of this test's own, with nobody listening where its broker should be."""
    usual = config.app
    dead = Celery("dead", set_as_current=False)
    dead.conf.update(
        {name: usual.conf[name] for name in ("broker_transport_options", "task_publish_retry_policy")}
    )
    dead.conf.update(broker_url="redis://127.0.0.1:1/0")
    dead.set_current()
    yield dead
    usual.set_current()


def test_after_the_commit_each_connected_agent_with_a_url_is_woken_by_id_alone(
    world: World, wake_ups_sent: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    world.add_agent("away", connected=False)
    world.add_agent("pulls", url="")
    with django_capture_on_commit_callbacks(execute=True):
        publishing.request_publish(world.actor, world.draft().pk)
        assert wake_ups_sent == []
    assert sorted(wake_ups_sent) == sorted(
        ("publishes.deliver", [str(voice.agent.pk)]) for voice in world.agents[:2]
    )


def test_the_sweep_wakes_connected_agents_that_have_something_due(
    world: World, wake_ups_sent: list[Any]
) -> None:
    sweeping.sweep()
    assert wake_ups_sent == []
    publishing.request_publish(world.actor, world.draft().pk)
    world.agents[0].claim()
    sweeping.sweep()
    assert wake_ups_sent == [("publishes.deliver", [str(world.agents[1].agent.pk)])]


def test_a_dead_broker_costs_one_try_and_then_nothing_for_a_while(
    dead_broker: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = Mock(side_effect=dead_broker.send_task)
    monkeypatch.setattr(dead_broker, "send_task", tries)
    wake_ups = outbox._WakeUps()
    started = time.monotonic()
    wake_ups.send([uuid4() for _ in range(50)])
    assert time.monotonic() - started < 3
    assert wake_ups.muted_until > time.monotonic() + 1

    wake_ups.send([uuid4() for _ in range(50)])
    assert tries.call_count == 1


def test_with_a_dead_broker_the_request_is_queued_all_the_same(
    world: World,
    dead_broker: Celery,
    django_capture_on_commit_callbacks: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox, "_wake_ups", outbox._WakeUps())
    with django_capture_on_commit_callbacks(execute=True):
        operation = publishing.request_publish(world.actor, world.draft().pk)
    assert operation.phase == "QUEUED"
    assert operation.deliveries.count() == 2


@pytest.fixture
def commands(world: World, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many specs each command to an agent carried.

    Every agent verifies all of them, half a second later.
    """
    sizes: list[int] = []
    clock = iter(range(1000))

    def send(_agent: Agent, command: Command) -> CommandAnswer:
        sizes.append(len(command.items))
        return CommandAnswer(
            results=tuple(
                Voice.result(item.spec, Outcome.VERIFIED, token=item.token) for item in command.items
            )
        )

    monkeypatch.setattr(client, "send", send)
    monkeypatch.setattr(delivery, "monotonic", lambda: next(clock) * 0.5)
    return sizes


def test_when_many_ask_at_once_a_worker_lets_as_many_come_together_as_the_last_change_took(
    world: World, commands: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent_id, hosts = world.agents[0].agent.pk, iter("abcdefg")
    pauses: list[float] = []

    def ask(number: int) -> None:
        for _ in range(number):
            publishing.request_publish(world.actor, world.draft(hostname_base=f"{next(hosts)}.localhost").pk)

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        assert outbox.claim(agent_id) is None  # whoever is woken meanwhile leaves it to us
        if len(pauses) == 1:
            ask(3)

    monkeypatch.setattr(delivery, "sleep", pause)
    ask(2)
    delivery.deliver(agent_id)
    assert (commands, pauses) == ([2, 3], [0.5, 0.5])


def test_a_publish_alone_is_followed_by_no_pause(
    world: World, commands: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(delivery, "sleep", pauses.append)
    publishing.request_publish(world.actor, world.draft().pk)
    delivery.deliver(world.agents[0].agent.pk)
    assert (commands, pauses) == ([1], [0.0])


def test_a_task_parses_its_argument_and_calls_one_function(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[UUID] = []
    monkeypatch.setattr(tasks, "close_old_connections", lambda: None)
    monkeypatch.setattr(delivery, "deliver", called.append)
    agent_id = uuid4()
    tasks.deliver(str(agent_id))
    assert called == [agent_id]
