"""The lines of the control plane's log about requests."""

import json
import logging
from typing import Any

import pytest
import structlog
from django.test import Client

from agent.protocol import messages as m
from agent.protocol.signing import new_key
from agent.protocol.spec import fingerprint
from config import logs
from tests.enrolment import signed_post
from tests.world import World

BEAT = m.Heartbeat(agent_version="1", driver="envoy", fingerprint=fingerprint([]), gateway_ok=True)
Line = dict[str, Any]


class Log(logging.Handler):
    """Every line of the log, as it is written."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(
            structlog.stdlib.ProcessorFormatter(processor=structlog.processors.JSONRenderer(default=str))
        )
        self.lines: list[Line] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))

    def about(self, *names: str) -> list[Line]:
        return [{name: line.get(name) for name in names} for line in self.lines]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    handler = Log()
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    return handler


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The minutes of heartbeats begin at 0; the last number is the time."""
    clock = [0.0]
    monkeypatch.setattr(logs.HEARTBEATS, "_clock", lambda: clock[-1])
    monkeypatch.setattr(logs.HEARTBEATS, "_since", 0.0)
    monkeypatch.setattr(logs.HEARTBEATS, "_answered", 0)
    return clock


def beat(world: World, **how: Any) -> int:
    voice = world.agents[0]
    how = {"key": voice.key, **how}
    response, _proof = signed_post(Client(), m.PATH_HEARTBEAT, BEAT, agent_id=str(voice.agent.pk), **how)
    return int(response.status_code)


def test_heartbeats_that_are_answered_are_one_line_a_minute_with_their_number(
    world: World, log: Log, now: list[float]
) -> None:
    for _ in range(3):
        assert beat(world) == 200
    assert log.lines == []
    now.append(59.9)
    assert beat(world) == 200
    assert log.lines == []
    now.append(61.0)
    assert beat(world) == 200
    assert log.about("event", "count", "seconds", "request_id") == [
        {"event": "heartbeats_answered", "count": 5, "seconds": 61, "request_id": None}
    ]
    now.append(120.0)
    assert beat(world) == 200
    assert len(log.lines) == 1


@pytest.mark.usefixtures("now")
def test_a_heartbeat_that_is_refused_is_a_line_of_its_own(world: World, log: Log) -> None:
    assert beat(world, key=new_key()) == 401
    assert {"event": "request_finished", "request": f"POST {m.PATH_HEARTBEAT}", "code": 401} in log.about(
        "event", "request", "code"
    )


@pytest.mark.usefixtures("now", "db")
def test_other_requests_are_logged_when_they_begin_and_when_they_end(log: Log) -> None:
    Client().get("/livez?a=b")
    assert log.about("event", "request") == [
        {"event": "request_started", "request": "GET /livez"},
        {"event": "request_finished", "request": "GET /livez"},
    ]
    assert log.lines[0]["request_id"] == log.lines[1]["request_id"]
