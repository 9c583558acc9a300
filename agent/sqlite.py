"""The agent's databases: SQLite files that survive a crash. Only this module opens one."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from agent.files import CannotWrite

BUSY_S = 5.0
HEADER_BYTES = 100

_ERRNO = {sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_READONLY: errno.EROFS}


def open_database(path: Path, schema: str) -> sqlite3.Connection:
    """A database that only this agent can read, checked whole. Raises sqlite3.DatabaseError.

    What a transaction wrote is on the disk when it ends; a reader never waits for a writer.
    """
    if not path.exists():
        _create(path)
    # SQLite takes a file that was cut off at its beginning for a new database.
    if path.stat().st_size < HEADER_BYTES:
        raise sqlite3.DatabaseError("file is cut off")
    database = _connect(path)
    try:
        database.execute("PRAGMA synchronous = FULL")
        _check(database)
        database.executescript(schema)
    except BaseException:
        database.close()
        raise
    return database


def remove_database(path: Path) -> None:
    """Remove the file and what SQLite keeps beside it. Raises OSError."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _create(path: Path) -> None:
    """A new database is there whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    with closing(_connect(new)) as database:
        database.execute("PRAGMA journal_mode = WAL")
    new.rename(path)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=BUSY_S, check_same_thread=False)


def _check(database: sqlite3.Connection) -> None:
    (verdict,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)


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
