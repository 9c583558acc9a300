"""A database connection with a deadline: we notice a frozen server or a network that drops packets."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import psycopg
from django.conf import settings
from django.db.backends.postgresql import base
from psycopg.errors import _WaitTimeout

_patience: ContextVar[float | None] = ContextVar("patience", default=None)


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """The deadline of each statement in this block, instead of DATABASE_DEADLINE_S."""
    token = _patience.set(seconds)
    try:
        yield
    finally:
        _patience.reset(token)


class Connection(psycopg.Connection[Any]):
    """Closes itself when the server does not answer in time; the server's own time-outs end the statement."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """psycopg's wait with our deadline. Raises OperationalError."""
        limit = timeout or _patience.get() or settings.DATABASE_DEADLINE_S
        try:
            return super().wait(gen, interval, limit)
        except _WaitTimeout as problem:
            self.pgconn.finish()
            raise psycopg.OperationalError(f"The database did not answer within {limit:g} s.") from problem


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's wrapper with this connection class."""

    Database: Any = SimpleNamespace(**vars(psycopg) | {"connect": Connection.connect})
