"""What can go wrong on the way to the Admin API, set per call.

All of it is Not in the records: Kong behind load, networks and proxies.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.doubles.kong.admin import Call


@dataclass(kw_only=True)
class Fault:
    """`status` answers instead of Kong (0 closes the connection); `delay_s` only waits.

    With `after`, Kong does the work first.
    """

    status: int | None = None
    retry_after: str = ""
    after: bool = False
    delay_s: float = 0.0


@dataclass
class Faults:
    """The calls so far, and which of the next ones fail."""

    calls: list[Call] = field(default_factory=list)
    open_now: int = 0
    open_most: int = 0
    _rules: list[tuple[Callable[[Call], bool], list[Fault]]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def on(self, is_meant: Callable[[Call], bool], *faults: Fault) -> None:
        """The next calls of this kind fail so, one after the other."""
        self._rules.append((is_meant, list(faults)))

    def on_write(self, number: int, fault: Fault) -> None:
        """The write with this number, counted from now and from 1."""
        numbers = iter(range(1, 10_000))
        self.on(
            lambda call: call.method in {"PUT", "PATCH", "DELETE", "POST"} and next(numbers) == number, fault
        )

    def clear(self) -> None:
        """Forget calls and rules."""
        self.calls, self._rules = [], []

    def next_for(self, call: Call) -> Fault | None:
        """Note the call; its fault."""
        with self._lock:
            self.calls.append(call)
            for is_meant, faults in self._rules:
                if faults and is_meant(call):
                    return faults.pop(0)
            return None

    @contextmanager
    def counted(self) -> Iterator[None]:
        """A call is being answered."""
        with self._lock:
            self.open_now += 1
            self.open_most = max(self.open_most, self.open_now)
        try:
            yield
        finally:
            with self._lock:
                self.open_now -= 1

    def writes(self) -> list[Call]:
        """The calls that changed something or tried to."""
        return [call for call in self.calls if call.method not in {"GET", "HEAD", "OPTIONS"}]

    def reads(self) -> list[Call]:
        """The lists that were read."""
        return [
            call for call in self.calls if call.method == "GET" and call.steps and call.steps[0] != "status"
        ]
