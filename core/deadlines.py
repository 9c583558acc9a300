"""Work that may hang, such as looking up names, done in the background and waited for only so long."""

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
WORKERS = 8


def within(deadline_s: float, jobs: Mapping[K, Callable[[], V]]) -> dict[K, V]:
    """The results of those jobs that are done within that many seconds; what hangs is left behind and what waits is dropped.

    Jobs must not raise, and must not use the database: each thread would open a connection of its own.
    """
    waiting, done = deque(jobs.items()), SimpleQueue[tuple[K, V]]()
    for _number in range(min(WORKERS, len(jobs))):
        # Daemons: a hanging name server must not keep the process from ending.
        Thread(target=_work, args=(waiting, done), daemon=True).start()
    until, results = monotonic() + deadline_s, dict[K, V]()
    while len(results) < len(jobs):
        try:
            key, value = done.get(timeout=max(0.0, until - monotonic()))
        except Empty:
            break
        results[key] = value
    waiting.clear()
    return results


def _work(waiting: deque[tuple[K, Callable[[], V]]], done: SimpleQueue[tuple[K, V]]) -> None:
    while True:
        try:
            key, job = waiting.popleft()
        except IndexError:
            return
        done.put((key, job()))
