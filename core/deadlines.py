"""Work that may hang, such as looking up names, done in the background and waited for only so long."""

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore, Thread
from time import monotonic
from typing import TypeVar

from django.utils.translation import activate, get_language

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
WORKERS = 8
_slots = BoundedSemaphore(64)  # of the whole process: hanging names of many pages must not pile up threads without end


def within(deadline_s: float, jobs: Mapping[K, Callable[[], V]]) -> dict[K, V]:
    """The results of those jobs that are done within that many seconds; what hangs is left behind and what waits is dropped.

    Jobs must not raise, and must not use the database: each thread would open a connection of its own.
    """
    waiting, done, language = deque(jobs.items()), SimpleQueue[tuple[K, V]](), get_language()
    for _number in range(min(WORKERS, len(jobs))):
        if not _slots.acquire(blocking=False):
            break
        # Daemons: a hanging name server must not keep the process from ending.
        Thread(target=_work, args=(waiting, done, language), name="within", daemon=True).start()
    until, results = monotonic() + deadline_s, dict[K, V]()
    while len(results) < len(jobs):
        try:
            key, value = done.get(timeout=max(0.0, until - monotonic()))
        except Empty:
            break
        results[key] = value
    waiting.clear()
    return results


def _work(waiting: deque[tuple[K, Callable[[], V]]], done: SimpleQueue[tuple[K, V]], language: str | None) -> None:
    if language:
        activate(language)  # of this thread: sentences are put together in the language of whoever waits
    try:
        while waiting:
            key, job = waiting.popleft()
            done.put((key, job()))
    except IndexError:  # another worker was faster with the last job
        return
    finally:
        _slots.release()
