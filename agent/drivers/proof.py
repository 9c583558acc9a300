"""The proof of live: sends requests through the proxy, as callers do.

Only this module does; no request reaches an upstream or carries a key.
"""

import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import cast

from agent.drivers.base import PinnedSpec, Unproved
from agent.protocol.messages import Evidence
from agent.protocol.spec import AuthMode, Spec, State

CONNECTIONS = 24
BURSTS = 2
PAUSE_S = 0.02
ANSWER_LIMIT = 64 * 1024
ASK_S = 2.0

GENERATION_HEADER = "imp-generation"


class _WrongAnswer(Exception):
    pass


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer of the proxy. Header names are in lower case; a repeated header keeps every value."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key == name]


@dataclass(frozen=True, kw_only=True)
class Question:
    """One request for each of a burst's connections.

    `judge` says what is wrong with an answer, "" when it is right.
    """

    host: str
    path: str
    judge: Callable[[Answer], str]


def marker_path(spec: Spec) -> str:
    """The path that carries a generation."""
    return f"{marker_prefix(spec)}/{spec.generation}"


def auth_marker_path(spec: Spec) -> str:
    """The path that carries a generation behind the publish's auth.

    401 without credentials; with credentials the same answer as the marker.
    """
    return f"{marker_path(spec)}/auth"


def marker_prefix(spec: Spec) -> str:
    """The path below which all markers of a publish are."""
    return f"/.well-known/imp/{spec.publish_id}"


def questions_of(pinned_spec: PinnedSpec) -> tuple[Question, ...]:
    """The questions that prove a spec; none for an absent spec whose host was never served."""
    if not pinned_spec.probe_host:
        return ()
    spec, generation = pinned_spec.spec, str(pinned_spec.spec.generation)
    judges = {State.LIVE: _judge_live, State.WITHDRAWN: _judge_withdrawn, State.ABSENT: _judge_absent}
    judge = judges[spec.state]
    marker = Question(
        host=pinned_spec.probe_host, path=marker_path(spec), judge=lambda answer: judge(answer, generation)
    )
    if spec.state != State.LIVE or spec.auth.mode == AuthMode.NONE:
        return (marker,)
    return marker, Question(host=pinned_spec.probe_host, path=auth_marker_path(spec), judge=_judge_closed)


def prove(
    questions: tuple[Question, ...],
    *,
    proxy: tuple[str, int],
    deadline_s: float,
    connections: int | None = None,
    bursts: int | None = None,
) -> Evidence:
    """Ask all questions until so many bursts in a row were right; no questions prove nothing.

    `connections`: for each question in a burst. Raises Unproved with the last wrong answer after `deadline_s`
    seconds.
    """
    connections, bursts = connections or CONNECTIONS, bursts or BURSTS
    if not questions:
        return Evidence()
    started = time.monotonic()
    deadline, right_in_a_row, wrong = started + deadline_s, 0, "the proxy did not answer in time"
    while right_in_a_row < bursts:
        if time.monotonic() >= deadline:
            raise unproved(questions, wrong)
        try:
            _burst(questions * connections, proxy, min(time.monotonic() + ASK_S, deadline))
            right_in_a_row += 1
        except (OSError, _WrongAnswer) as problem:
            # A timeout has no words; the last wrong answer says more.
            right_in_a_row, wrong = 0, str(problem) or wrong
            time.sleep(PAUSE_S)
    return Evidence(
        probes=bursts * connections * len(questions),
        bursts=bursts,
        verify_ms=round((time.monotonic() - started) * 1000),
    )


def unproved(questions: Sequence[Question], wrong: str) -> Unproved:
    """The error that names the last wrong answer."""
    return Unproved(f"Callers of {questions[0].host} do not meet this generation yet: {wrong}.")


def _burst(questions: tuple[Question, ...], proxy: tuple[str, int], deadline: float) -> None:
    """Open a connection per question before the first request: all workers are asked at the same time.

    Bare sockets: asyncio's streams take four times the processor time, and a cluster's agents may all be
    proving a hundred publishes.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(*proxy, type=socket.SOCK_STREAM)[0]
    with ExitStack() as stack:
        question_by_connection = {
            stack.enter_context(socket.socket(family, kind, protocol)): question for question in questions
        }
        for connection in question_by_connection:
            connection.settimeout(0)
            connection.connect_ex(address)
        for connection in _as_ready(list(question_by_connection), selectors.EVENT_WRITE, deadline):
            if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise _WrongAnswer(f"the proxy at {proxy[0]}:{proxy[1]} takes no connections")
        for connection, question in question_by_connection.items():
            connection.sendall(request(question, keeps_connection=False))
        for connection, answer in _answers(list(question_by_connection), deadline):
            if wrong := question_by_connection[connection].judge(answer):
                raise _WrongAnswer(wrong)


def request(question: Question, *, keeps_connection: bool) -> bytes:
    """The request that asks a question."""
    lines = (
        f"GET {question.path} HTTP/1.1",
        f"host: {question.host}",
        "user-agent: imp-proof",
        f"connection: {'keep-alive' if keeps_connection else 'close'}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _as_ready(connections: list[socket.socket], event: int, deadline: float) -> Iterator[socket.socket]:
    """Each connection once, when it is ready. Raises TimeoutError."""
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection, event)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                selector.unregister(key.fileobj)
                yield cast(socket.socket, key.fileobj)


def _answers(connections: list[socket.socket], deadline: float) -> Iterator[tuple[socket.socket, Answer]]:
    """The answers as they come, in no order, each with its connection.

    A connection is read only as far as the answer's length: Envoy closes a connection a second late.
    """
    texts = {connection: bytearray() for connection in connections}
    while texts:
        for connection in _as_ready(list(texts), selectors.EVENT_READ, deadline):
            part = connection.recv(ANSWER_LIMIT)
            texts[connection] += part
            answer = parse(bytes(texts[connection]), is_all=not part or len(texts[connection]) > ANSWER_LIMIT)
            if answer:
                del texts[connection]
                yield connection, answer


def parse(text: bytes, *, is_all: bool) -> Answer | None:
    """The answer in a text, None while it is not whole. Status 0: cut off, or no HTTP answer at all."""
    head, end, body = text.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = tuple(
        (name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)
    )
    length = next((int(value) for name, value in pairs if name == "content-length" and value.isdigit()), 0)
    if not end or len(body) < length:
        return Answer(status=0, headers=(), body=b"") if is_all else None
    status = first.split(" ")[1:2]
    return Answer(status=int(status[0]) if status and status[0].isdigit() else 0, headers=pairs, body=body)


def _judge_live(answer: Answer, generation: str) -> str:
    if (
        answer.status == 200
        and answer.header(GENERATION_HEADER) == [generation]
        and answer.body == generation.encode()
    ):
        return ""
    return _describe(answer)


def _judge_withdrawn(answer: Answer, generation: str) -> str:
    return (
        "" if answer.status == 410 and answer.header(GENERATION_HEADER) == [generation] else _describe(answer)
    )


def _judge_absent(answer: Answer, _generation: str) -> str:
    return "" if answer.status and not answer.header(GENERATION_HEADER) else _describe(answer)


def _judge_closed(answer: Answer) -> str:
    # Other generations answer this path with another marker's 404, so a 401 proves both: this generation, and
    # closed.
    return "" if answer.status == 401 else f"{_describe(answer)} where it asks for credentials"


def _describe(answer: Answer) -> str:
    carried = ", ".join(answer.header(GENERATION_HEADER)) or "no generation"
    if not answer.status:
        return "the proxy closed the connection without an answer"
    return f"the proxy answered {answer.status} with {carried}"
