"""The agent's port against those who are slow, send too much, or take places: on loopback, few and short."""

import http.client
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx2
import pytest

from agent.protocol import signing
from agent.protocol.messages import Outcome
from tests.agent.doubles import ControlPlaneDouble, live
from tests.agent.running import Running

Start = Callable[..., Running]
HEAD = "POST /v1/commands HTTP/1.1\r\nhost: a\r\n"


@pytest.fixture
def start(
    tmp_path: Path, control_plane: ControlPlaneDouble, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Start]:
    """An agent whose port has other bounds."""
    agents: list[Running] = []

    def with_bounds(**bounds: float) -> Running:
        for name, value in bounds.items():
            monkeypatch.setattr(f"agent.serving.door.{name}", value)
        agents.append(Running(tmp_path, control_plane))
        return agents[-1]

    yield with_bounds
    for agent in agents:
        agent.stop()


def connect(agent: Running) -> socket.socket:
    host, _, port = agent.url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=5)


def is_closed_while(connection: socket.socket, send: bytes) -> bool:
    """Whether the other side closes although something comes every fifth of a second, five seconds long."""
    connection.settimeout(0.2)
    for _ in range(25):
        try:
            connection.sendall(send)
            if connection.recv(1000) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def works(agent: Running) -> bool:
    sealed = agent.seal(live())
    response = agent.post(sealed.token)
    return agent.double.open_answer(agent.me, response.text, answers=sealed.id)[0].outcome == Outcome.VERIFIED


def test_more_slow_ones_than_there_are_places_keep_nobody_out(start: Start) -> None:
    agent = start(CONNECTIONS=20)
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(agent)) for _ in range(60)]
        for connection in slow:
            connection.sendall(HEAD.encode())
        for _ in range(3):
            assert httpx2.get(agent.url + "/livez", trust_env=False, timeout=5).status_code == 200
            assert works(agent)


@pytest.mark.parametrize(
    ("begin", "go_on"),
    [("", "P"), (HEAD, "x-a: b\r\n"), (f"{HEAD}content-length: 1000\r\n\r\n", "a"), ("", "")],
    ids=["first line", "headers", "body", "nothing"],
)
def test_who_sends_a_little_at_a_time_is_closed_in_the_end(start: Start, begin: str, go_on: str) -> None:
    agent = start(REQUEST_S=1.0)
    with connect(agent) as connection:
        connection.sendall(begin.encode())
        assert is_closed_while(connection, go_on.encode())
    assert works(agent)


def test_a_connection_is_kept_for_the_next_request_and_its_clock_begins_anew(start: Start) -> None:
    agent = start(REQUEST_S=1.0, IDLE_S=30.0)
    with closing(http.client.HTTPConnection(agent.url.removeprefix("http://"), timeout=5)) as connection:
        connection.auto_open = 0
        connection.connect()
        for pause in (0, 2.5):
            time.sleep(pause)
            connection.request("GET", "/livez")
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, b"ok\n")


def test_work_that_takes_longer_than_a_request_may_is_answered(start: Start) -> None:
    agent = start(REQUEST_S=0.5, IDLE_S=0.5)
    agent.gateway.apply_s = 2.5
    assert works(agent)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (HEAD, "411"),
        (f"{HEAD}transfer-encoding: chunked\r\n", "411"),
        (f"{HEAD}content-length: {signing.SIZE_LIMIT + 1}\r\n", "413"),
        (f"{HEAD}content-length: {'9' * 30}\r\n", "413"),
        ("POST /elsewhere HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n", "413"),
        ("GET /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n", "413"),
        (f"{HEAD}x-a: {'b' * 20_000}\r\n", "431"),
    ],
)
def test_what_will_not_be_taken_is_refused_by_its_headers(start: Start, head: str, status: str) -> None:
    agent = start()
    with connect(agent) as connection:
        connection.sendall(f"{head}\r\n".encode())
        assert connection.recv(1000).split(b" ")[1] == status.encode()
        assert is_closed_while(connection, b"")


def test_a_body_of_many_parts_is_not_taken_apart(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = start()
    monkeypatch.setattr(agent.control_plane, "open_command", lambda _token: pytest.fail("it was taken apart"))
    response = agent.post(b"a." * 1000)
    assert (response.status_code, response.json()["code"]) == (400, "malformed")
