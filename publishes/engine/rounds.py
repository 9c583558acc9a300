"""One step of the sweep over many rows: a row that fails is logged as a bug and put back.

So it neither stops nor starves the other rows.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Any
from uuid import UUID

import structlog
from django.db.models.query import QuerySet

from core import back_off

log = structlog.get_logger(__name__)

AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class _PutBack:
    tries: int
    until: float


class Round:
    """The rows of one step. Which rows are put back is known to this process alone: another process tries
    them for itself, and so does this one after a restart.
    """

    def __init__(self, doing: str) -> None:
        self._doing, self._lock = doing, Lock()
        self._put_back: dict[UUID, _PutBack] = {}

    def run(self, rows: QuerySet[Any, UUID], work: Callable[[UUID], object]) -> None:
        """Give each id its turn, 500 at most; an id that failed comes again after a back-off.

        One query, and those of the work.
        """
        waiting = [pk for pk, row in self._put_back.copy().items() if row.until > monotonic()]
        for pk in rows.exclude(pk__in=waiting)[:AT_ONCE]:
            with isolated_turn(self._doing, row=str(pk)) as turn:
                work(pk)
            self._note(pk, has_failed=turn.has_failed)

    def forget(self) -> None:
        """Put nothing back any more."""
        with self._lock:
            self._put_back.clear()

    def _note(self, pk: UUID, *, has_failed: bool) -> None:
        with self._lock:
            previous = self._put_back.pop(pk, None)
            if has_failed:
                tries = previous.tries + 1 if previous else 1
                self._put_back[pk] = _PutBack(tries=tries, until=monotonic() + back_off.seconds_after(tries))


@dataclass(kw_only=True)
class Turn:
    """How a turn ended."""

    has_failed: bool = False


@contextmanager
def isolated_turn(doing: str, **about: str) -> Iterator[Turn]:
    """Log a bug in one turn, and let the next turns go on."""
    turn = Turn()
    try:
        yield turn
    except Exception:
        turn.has_failed = True
        log.exception("bug", doing=doing, **about)
