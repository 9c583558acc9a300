"""Names to addresses, many side by side, with a bound on time and on look-ups that hang.

Nothing else asks a name server for an upstream.
"""

import socket
import threading
import time
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field

from fence.rules import Address, Resolver

RESOLVE_S = 3.0
"""Seconds that one call waits for its names; a slow name server must not hold up other publishes."""

AT_ONCE = 32
"""Look-ups that one call has begun and not ended; those that hang since an earlier call do not count."""

PER_GROUP = 8
"""Look-ups at once for one publish, so that no publish takes all places."""

Answer = Future[list[Address]]


@dataclass(frozen=True, kw_only=True)
class Bound:
    """Look-ups that may be under way, hanging ones too: of all owners together, and of each owner."""

    in_all: int
    per_owner: int


class Lookups:
    """Callers that ask for a name during its look-up share that look-up: one that hangs is a single thread.

    With a `bound`, an owner whose names hang waits for them alone. Without one, nobody waits for another
    call's names.
    """

    def __init__(self, resolver: Resolver, *, bound: Bound | None = None) -> None:
        self._resolver, self._bound = resolver, bound
        self._ended = threading.Condition()
        self._running: dict[str, Answer] = {}
        self._owners: dict[str, Hashable] = {}

    def find(
        self, groups: Iterable[Iterable[str]], *, deadline_s: float | None = None, owner: Hashable = None
    ) -> Resolver:
        """Look all names up, each group at its own pace, and return a resolver that knows their addresses.

        The resolver raises TimeoutError for a name without an answer.

        Addresses and this machine's own names need no look-up. Takes `deadline_s` (RESOLVE_S) at most.
        """
        deadline = time.monotonic() + (RESOLVE_S if deadline_s is None else deadline_s)
        hosts = [list(dict.fromkeys(group)) for group in groups]
        answers = {
            host: self._resolved(host) for group in hosts for host in group if _needs_no_name_server(host)
        }
        begun: list[Answer] = []
        with self._ended:
            answers |= {
                host: self._running[host] for group in hosts for host in group if host in self._running
            }
            while True:
                begun = [answer for answer in begun if not answer.done()]
                for host in _next(hosts, answers, room=AT_ONCE - len(begun)):
                    if answer := self._ask(host, owner):
                        answers[host] = answer
                        begun.append(answer)
                names = [host for group in hosts for host in group]
                missing = [host for host in names if host not in answers or not answers[host].done()]
                if not missing or (remaining_s := deadline - time.monotonic()) <= 0:
                    return lambda host, _port: _result_of(answers.get(host))
                self._ended.wait(remaining_s)

    def _resolved(self, host: str) -> Answer:
        return _settle(lambda: self._resolver(host, 0), Future())

    def _ask(self, host: str, owner: Hashable) -> Answer | None:
        """The look-up of a name, shared or begun; None while there is no room for another."""
        if running := self._running.get(host):
            return running
        if self._bound and (
            len(self._running) >= self._bound.in_all
            or list(self._owners.values()).count(owner) >= self._bound.per_owner
        ):
            return None
        # A daemon, because nothing can end a look-up that hangs: the program must not wait for it at its end.
        threading.Thread(target=self._look_up, args=(host,), name="resolve", daemon=True).start()
        self._running[host], self._owners[host] = Future(), owner
        return self._running[host]

    def _look_up(self, host: str) -> None:
        resolved = self._resolved(host)
        with self._ended:
            # Removed before the answer is set: a caller that comes later needs a new look-up.
            answer = self._running.pop(host)
            del self._owners[host]
            _settle(resolved.result, answer)
            self._ended.notify_all()


@dataclass(frozen=True)
class LastKnown:
    """The last known addresses of our own hosts: they stay shut while the name server is away."""

    _addresses: dict[str, list[Address]] = field(default_factory=dict)

    def through(self, resolver: Resolver) -> Resolver:
        """The same resolver, with the last known addresses where it has no answer."""

        def with_last_known(host: str, port: int) -> list[Address]:
            try:
                self._addresses[host] = resolver(host, port)
            except (OSError, UnicodeError):
                return self._addresses.get(host, [])
            return self._addresses[host]

        return with_last_known


def _next(groups: list[list[str]], answers: dict[str, Answer], *, room: int) -> list[str]:
    """The names to begin with now: per group no more than `PER_GROUP` at once, and `room` in all."""
    chosen: list[str] = []
    for group in groups:
        under_way = sum(
            1 for host in group if host in chosen or (host in answers and not answers[host].done())
        )
        waiting = [host for host in group if host not in answers and host not in chosen]
        chosen += waiting[: max(0, min(PER_GROUP - under_way, room - len(chosen)))]
    return chosen


def _settle(resolve: Callable[[], list[Address]], answer: Answer) -> Answer:
    try:
        answer.set_result(resolve())
    except Exception as problem:  # noqa: BLE001 (raised at the caller)
        answer.set_exception(problem)
    return answer


def _result_of(answer: Answer | None) -> list[Address]:
    if answer is None or not answer.done():
        raise TimeoutError
    return answer.result()


def _needs_no_name_server(host: str) -> bool:
    """Whether the host is this machine's own name, or an address in any spelling that the system accepts."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        socket.getaddrinfo(host, 0, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return False
    return True
