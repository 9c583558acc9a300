"""Slow senders occupy no web thread: others are answered at once, and slow requests end."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.config.server import TOKEN, Server, answer_of, head, running

SLOW = 50


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("web")) as started:
        yield started


def waiting(server: Server, *texts: bytes) -> Iterator[socket.socket]:
    """Fifty connections that have sent so much and send no more."""
    for number in range(SLOW):
        yield server.connect(texts[number % len(texts)])


def test_fifty_slow_bodies_are_in_nobodys_way_and_end_with_408(server: Server) -> None:
    began = time.monotonic()
    anonymous = head(
        "POST", "/sign-in", b"Content-Length: 1000", b"Content-Type: application/x-www-form-urlencoded"
    )
    claiming = head(
        "POST",
        "/api/v1/provider/products",
        TOKEN,
        b"Content-Length: 100000",
        b"Content-Type: application/json",
    )
    with ExitStack() as stack:
        connections = [
            stack.enter_context(client) for client in waiting(server, anonymous + b"a", claiming + b"{")
        ]
        assert max(server.seconds_for(path) for path in ("/livez", "/sign-in") * 3) < 1
        answers = [answer_of(client) for client in connections]
    assert time.monotonic() - began < 20
    assert {answer.split(b" ", 2)[1] for answer in answers} == {b"408"}
    assert all(b"connection: close" in answer.lower() for answer in answers)
    assert b'"code": "body_too_slow"' in answers[1]


def test_one_byte_now_and_then_is_too_slow_as_well(server: Server) -> None:
    with server.connect(head("POST", "/sign-in", b"Content-Length: 1000")) as connection:
        began = time.monotonic()
        connection.settimeout(0.5)
        answer = b""
        while not answer and time.monotonic() - began < 20:
            connection.sendall(b"a")
            try:
                answer = connection.recv(65_536)
            except TimeoutError:
                continue
    assert b" 408 " in answer
    assert time.monotonic() - began < 10


def test_fifty_slow_heads_are_in_nobodys_way_and_end(server: Server) -> None:
    began = time.monotonic()
    with ExitStack() as stack:
        connections = [
            stack.enter_context(client)
            for client in waiting(server, b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow:")
        ]
        assert max(server.seconds_for(path) for path in ("/livez", "/sign-in") * 3) < 1
        for client in connections:
            answer_of(client)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("path", "lines", "length"),
    [
        ("/sign-in", (), 65_537),
        ("/agent/v1/report", (), 65_537),
        ("/agent/v1/enroll", (b"Authorization: Imp a.b.c",), 65_537),
        ("/api/v1/provider/products", (TOKEN,), 1_048_577),
        ("/agent/v1/report", (b"Authorization: Imp a.b.c",), 10_485_761),
        ("/provider/products/new", (b"Cookie: sessionid=x",), 10_485_761),
    ],
)
def test_what_is_too_long_by_its_head_is_refused_before_a_byte_is_sent(
    server: Server, path: str, lines: tuple[bytes, ...], length: int
) -> None:
    with server.connect(head("POST", path, *lines, f"Content-Length: {length}".encode())) as connection:
        assert answer_of(connection).split(b" ", 2)[1] == b"413"


def test_what_turns_out_to_be_too_long_is_refused_where_it_does(server: Server) -> None:
    with server.connect(head("POST", "/sign-in", b"Transfer-Encoding: chunked")) as connection:
        for _number in range(3):
            connection.sendall(b"8000\r\n" + b"a" * 0x8000 + b"\r\n")
        assert answer_of(connection).split(b" ", 2)[1] == b"413"
