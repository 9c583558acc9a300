"""The agent's databases: SQLite files that survive a crash. Only this module opens one."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.files import CannotWrite

BUSY_S = 5.0

_ERRNO = {sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_READONLY: errno.EROFS}


def open_database(path: Path, schema: str) -> sqlite3.Connection:
    """A database that only this agent can read, checked whole. Raises sqlite3.DatabaseError.

    What a transaction wrote is on the disk when it ends; a reader never waits for a writer.
    """
    path.touch(mode=0o600)
    database = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        (verdict,) = database.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        database.executescript(schema)
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def writing(database: sqlite3.Connection, path: Path, *, size: int) -> Iterator[None]:
    """One transaction of about `size` bytes: all of it or nothing. Raises CannotWrite."""
    try:
        database.execute("BEGIN IMMEDIATE")
        try:
            yield
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
    except sqlite3.OperationalError as problem:
        number = _ERRNO.get(getattr(problem, "sqlite_errorcode", 0) & 0xFF, errno.EIO)
        raise CannotWrite(path, OSError(number, os.strerror(number)), size=size) from problem
