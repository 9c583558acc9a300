"""Names to addresses, many side by side, none awaited for long. Nothing else in the agent asks a name server."""

import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait

import fence

RESOLVE_S = 3.0
"""How long one call waits for its names; a slow name server must not hold up the other publishes."""

AT_ONCE = 32
"""How many look-ups one call has begun and not ended; those that hang since an earlier call do not count."""

PER_GROUP = 8
"""How many of one publish's names are looked up at once, so that it cannot take all there are."""

Answer = Future[list[fence.Address]]


class Lookups:
    """Everybody who asks for a name while it is looked up shares that look-up: one that hangs is a single thread, and in nobody's way."""

    def __init__(self, resolver: fence.Resolver) -> None:
        self._resolver = resolver
        self._lock = threading.Lock()
        self._running: dict[str, Answer] = {}

    def find(self, groups: Iterable[Iterable[str]]) -> fence.Resolver:
        """Look all names up, each group at its own pace; what is returned knows their addresses, and raises TimeoutError for those without an answer."""
        hosts = [list(dict.fromkeys(group)) for group in groups]
        answers = {host: answer for group in hosts for host in group if (answer := self._without_asking(host))}
        begun: list[Answer] = []
        deadline = time.monotonic() + RESOLVE_S
        while True:
            begun = [answer for answer in begun if not answer.done()]
            for host in _next(hosts, answers, room=AT_ONCE - len(begun)):
                answers[host] = self._ask(host)
                begun.append(answers[host])
            missing = [host for group in hosts for host in group if host not in answers or not answers[host].done()]
            if not missing or (left := deadline - time.monotonic()) <= 0:
                return lambda host, _port: _said(answers.get(host))
            wait([answers[host] for host in missing if host in answers], timeout=left, return_when=FIRST_COMPLETED)

    def _without_asking(self, host: str) -> Answer | None:
        """What needs no name server, and what is being looked up already."""
        if host == "localhost" or host.endswith(".localhost") or _is_literal(host):
            return _of(lambda: self._resolver(host, 0), Future())
        with self._lock:
            return self._running.get(host)

    def _ask(self, host: str) -> Answer:
        with self._lock:
            if known := self._running.get(host):
                return known
            answer: Answer = Future()
            # A daemon, because nothing can end a look-up that hangs: the agent must not wait for it at its end.
            threading.Thread(target=self._look_up, args=(host, answer), name="resolve", daemon=True).start()
            self._running[host] = answer
        return answer

    def _look_up(self, host: str, answer: Answer) -> None:
        def resolved() -> list[fence.Address]:
            try:
                return self._resolver(host, 0)
            finally:
                # Before the answer is there: who asks after it wants a new one.
                with self._lock:
                    del self._running[host]

        _of(resolved, answer)


def _next(groups: list[list[str]], answers: dict[str, Answer], *, room: int) -> list[str]:
    """The names to begin with now: of each group no more than it may have under way, of all together no more than there is room for."""
    chosen: list[str] = []
    for group in groups:
        under_way = sum(1 for host in group if host in chosen or (host in answers and not answers[host].done()))
        waiting = [host for host in group if host not in answers and host not in chosen]
        chosen += waiting[: max(0, min(PER_GROUP - under_way, room - len(chosen)))]
    return chosen


def _of(resolve: Callable[[], list[fence.Address]], answer: Answer) -> Answer:
    try:
        answer.set_result(resolve())
    except Exception as problem:  # noqa: BLE001 (told to whoever asked)
        answer.set_exception(problem)
    return answer


def _said(answer: Answer | None) -> list[fence.Address]:
    if answer is None or not answer.done():
        raise TimeoutError
    return answer.result()


def _is_literal(host: str) -> bool:
    """Whether the host is an address, in any spelling that the system takes for one."""
    try:
        socket.getaddrinfo(host, 0, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return False
    return True
