"""The proof of live: the only module that sends requests through the proxy, the way callers do; none of them reaches an upstream."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from agent.drivers.base import Held, Unproved
from agent.protocol.messages import Evidence
from agent.protocol.spec import Spec, State

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
    """One answer of the proxy; header names are in lower case, repeated headers keep every value."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key == name]


@dataclass(frozen=True, kw_only=True)
class Question:
    """One request to send in each connection, and what is wrong with an answer ("" when it is right)."""

    host: str
    path: str
    judge: Callable[[Answer], str]


def marker_path(spec: Spec) -> str:
    """The path that carries a generation."""
    return f"{marker_prefix(spec)}/{spec.generation}"


def marker_prefix(spec: Spec) -> str:
    """The path below which all markers of a publish are."""
    return f"/.well-known/imp/{spec.publish_id}"


def question_of(held: Held) -> Question | None:
    """What to ask for a spec, or None when nothing can tell (an absent spec whose host never was here)."""
    if not held.probe_host:
        return None
    judges = {State.LIVE: _judge_live, State.WITHDRAWN: _judge_withdrawn, State.ABSENT: _judge_absent}
    judge, generation = judges[held.spec.state], str(held.spec.generation)
    return Question(host=held.probe_host, path=marker_path(held.spec), judge=lambda answer: judge(answer, generation))


def prove(held: Held, *, proxy: tuple[str, int], deadline_s: float) -> Evidence:
    """Ask until two bursts in a row were all right. Raises Unproved with the last wrong answer after `deadline_s` seconds."""
    question = question_of(held)
    if question is None:
        return Evidence()
    started = time.monotonic()
    probes = asyncio.run(_prove(question, proxy, started + deadline_s))
    return Evidence(probes=probes, bursts=BURSTS, verify_ms=round((time.monotonic() - started) * 1000))


async def _prove(question: Question, proxy: tuple[str, int], deadline: float) -> int:
    right_in_a_row, wrong = 0, "no burst was finished"
    while time.monotonic() < deadline:
        try:
            async with asyncio.timeout(min(ASK_S, deadline - time.monotonic())):
                await _burst(question, proxy)
        except (OSError, TimeoutError, _WrongAnswer) as problem:
            right_in_a_row, wrong = 0, str(problem) or type(problem).__name__
            await asyncio.sleep(PAUSE_S)
            continue
        right_in_a_row += 1
        if right_in_a_row == BURSTS:
            return BURSTS * CONNECTIONS
    raise Unproved(f"Callers of {question.host} do not meet this generation yet: {wrong}.")


async def _burst(question: Question, proxy: tuple[str, int]) -> None:
    """Open all connections before the first request goes out, so that every worker of the gateway is asked at the same time."""
    streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    try:
        opening = [asyncio.open_connection(*proxy, limit=ANSWER_LIMIT) for _ in range(CONNECTIONS)]
        opened = await asyncio.gather(*opening, return_exceptions=True)
        streams += [stream for stream in opened if not isinstance(stream, BaseException)]
        if len(streams) < CONNECTIONS:
            raise _WrongAnswer(f"the proxy at {proxy[0]}:{proxy[1]} takes no connections")
        request = f"GET {question.path} HTTP/1.1\r\nhost: {question.host}\r\nuser-agent: imp-proof\r\nconnection: close\r\n\r\n".encode()
        for _, writer in streams:
            writer.write(request)
        for answer in await asyncio.gather(*(_read(reader) for reader, _ in streams)):
            if wrong := question.judge(answer):
                raise _WrongAnswer(wrong)
    finally:
        for _, writer in streams:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Answer:
    """One answer; its body only as long as it says. Waiting for the end of the connection would take Envoy's delayed close, a second."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        answer = _parse(head)
        length = next((int(value) for value in answer.header("content-length")), 0)
        return replace(answer, body=await reader.readexactly(min(length, ANSWER_LIMIT)))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        return Answer(status=0, headers=(), body=b"")


def _parse(head: bytes) -> Answer:
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    pairs = [line.partition(":") for line in lines]
    status = first.split(" ")[1:2]
    return Answer(status=int(*status), headers=tuple((name.strip().lower(), value.strip()) for name, _, value in pairs), body=b"")


def _judge_live(answer: Answer, generation: str) -> str:
    if answer.status == 200 and answer.header(GENERATION_HEADER) == [generation] and answer.body == generation.encode():
        return ""
    return _describe(answer)


def _judge_withdrawn(answer: Answer, generation: str) -> str:
    return "" if answer.status == 410 and answer.header(GENERATION_HEADER) == [generation] else _describe(answer)


def _judge_absent(answer: Answer, _generation: str) -> str:
    return "" if answer.status and not answer.header(GENERATION_HEADER) else _describe(answer)


def _describe(answer: Answer) -> str:
    carried = ", ".join(answer.header(GENERATION_HEADER)) or "no generation"
    return f"the proxy answered {answer.status} with {carried}" if answer.status else "the proxy closed the connection without an answer"
