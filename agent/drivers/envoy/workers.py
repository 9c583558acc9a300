"""The proof at every worker of an Envoy: one open connection to each, over the agent's own listener.

Envoy acknowledges a change before its workers have it. Callers meet any worker, and a burst of connections
may miss some; these connections were counted at each.
"""

import socket
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from agent.drivers.base import Unreachable
from agent.drivers.envoy.admin_api import Admin
from agent.drivers.proof import ANSWER_LIMIT, Answer, Question, parse, request, unproved

ASK_S = 2.0
COUNTED_S = 0.5
"""Seconds until Envoy has to say that each worker has its connection."""
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.002, 0.1


class _ConnectionLost(Exception):
    """A worker's connection has ended, as when Envoy was started again."""


class Workers:
    """The connections to an Envoy's workers. For all threads; one asks at a time."""

    def __init__(self, path: Path, admin: Admin) -> None:
        self._path, self._admin = path, admin
        self._connections: list[socket.socket] = []
        self._lock = threading.Lock()

    def prove(self, questions: Sequence[Question], *, deadline: float) -> int:
        """Ask each worker until all have answered rightly; the number of requests.

        Raises Unproved with the last wrong answer after `deadline` (of the monotonic clock).
        """
        requests, pause_s = 0, SHORTEST_PAUSE_S
        while True:
            try:
                with self._lock:
                    wrong, count = self._ask_all(questions)
                requests += count
            except (_ConnectionLost, Unreachable) as broken:
                wrong = str(broken)
            if not wrong:
                return requests
            if time.monotonic() + pause_s >= deadline:
                raise unproved(questions, wrong)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def close(self) -> None:
        """Let the connections go."""
        with self._lock:
            self._close()

    def _ask_all(self, questions: Sequence[Question]) -> tuple[str, int]:
        """What is wrong with the first wrong answer, "" when all are right, and the number of requests."""
        if not self._connections:
            self._connect()
        count = 0
        try:
            for question in questions:
                for connection in self._connections:
                    connection.sendall(request(question, keeps_connection=True))
                answers = [_answer(connection) for connection in self._connections]
                count += len(answers)
                problems = [problem for answer in answers if (problem := question.judge(answer))]
                if problems:
                    return problems[0], count
        except (OSError, _ConnectionLost) as problem:
            self._close()
            raise _ConnectionLost(str(problem) or "Envoy ended the connection of the proof") from problem
        return "", count

    def _connect(self) -> None:
        """One connection to each worker, counted by Envoy itself. Raises Unreachable, _ConnectionLost."""
        count = self._admin.server().workers
        with ExitStack() as stack:
            connections = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(count)]
            for connection in connections:
                connection.settimeout(ASK_S)
                try:
                    connection.connect(str(self._path))
                except OSError as problem:
                    raise _ConnectionLost(f"Envoy does not listen at {self._path}") from problem
            self._wait_until_counted(count)
            self._connections = connections
            stack.pop_all()

    def _wait_until_counted(self, workers: int) -> None:
        deadline = time.monotonic() + COUNTED_S
        while sorted(self._admin.connections(str(self._path)).values()) != [1] * workers:
            if time.monotonic() >= deadline:
                raise _ConnectionLost(f"Envoy has not given each of its {workers} workers a connection yet")
            time.sleep(SHORTEST_PAUSE_S)

    def _close(self) -> None:
        for connection in self._connections:
            connection.close()
        self._connections = []


def _answer(connection: socket.socket) -> Answer:
    """The next answer on a connection. Raises OSError, _ConnectionLost."""
    text = bytearray()
    while True:
        part = connection.recv(ANSWER_LIMIT)
        text += part
        if not part or len(text) > ANSWER_LIMIT:
            raise _ConnectionLost("Envoy ended the connection of the proof")
        if answer := parse(bytes(text), is_all=False):
            return answer
