"""What Envoy took, on the disk: an Envoy and an agent that start together serve from here at once.

Only this module writes the file. Each row carries a hash of its content; a row that does not fit is left out,
and the agent's memory of the specs brings the right one.
"""

import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from uuid import UUID

import structlog

from agent.drivers.envoy.entries import Entry, Key, Parts, publish_in
from agent.drivers.envoy.messages import Kind
from agent.sqlite import open_database, remove_database, writing

_SCHEMA = """
CREATE TABLE IF NOT EXISTS resource (
    kind TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, body BLOB NOT NULL, seal TEXT NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID
"""

_ALL = "SELECT kind, name, version, CAST(body AS BLOB), seal FROM resource"

log = structlog.get_logger()


class ResourceStore:
    """The resources by kind and name. One thread writes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None
        self._versions: defaultdict[UUID, dict[Key, str]] = defaultdict(dict)

    def open(self) -> list[Entry]:
        """All whole rows. Raises CannotWrite, OSError."""
        self._database = _open(self._path)
        with closing(self._database.execute(_ALL)) as rows:
            entries = list(_whole(rows))
        for entry in entries:
            if publish := publish_in(entry.name):
                self._versions[publish][entry.key] = entry.version
        return entries

    def save(self, parts: Mapping[UUID, Parts]) -> None:
        """Keep exactly these of each publish, in one transaction. Raises CannotWrite."""
        versions = {
            publish: {entry.key: entry.version for entry in part.entries} for publish, part in parts.items()
        }
        changed = [
            publish for publish, current in versions.items() if current != self._versions.get(publish, {})
        ]
        if not changed or self._database is None:
            return
        old = [key for publish in changed for key in self._versions[publish]]
        new = [entry for publish in changed for entry in parts[publish].entries]
        with writing(self._database, self._path, size=sum(len(entry.body) for entry in new)):
            self._database.executemany("DELETE FROM resource WHERE kind = ? AND name = ?", old)
            self._database.executemany(
                "INSERT OR REPLACE INTO resource VALUES (?, ?, ?, ?, ?)",
                [(entry.kind, entry.name, entry.version, entry.body, _seal(entry)) for entry in new],
            )
        self._versions.update({publish: versions[publish] for publish in changed})

    def close(self) -> None:
        """End; nothing is lost without it."""
        if self._database:
            self._database.close()


def _open(path: Path) -> sqlite3.Connection:
    try:
        return open_database(path, _SCHEMA)
    except sqlite3.DatabaseError as problem:
        # All of it can be made again from the agent's memory of the specs.
        log.warning("resources_damaged", path=str(path), reason=str(problem))
        remove_database(path)
        return open_database(path, _SCHEMA)


def _whole(rows: Iterable[tuple[str, str, str, bytes, str]]) -> Iterator[Entry]:
    for kind, name, version, body, seal in rows:
        try:
            entry = Entry(kind=Kind(kind), name=name, version=version, body=body)
        except ValueError:
            continue
        if seal == _seal(entry):
            yield entry
        else:
            log.warning("resource_altered", kind=kind, name=name)


def _seal(entry: Entry) -> str:
    content = hashlib.sha256(f"{entry.kind} {entry.name} {entry.version} ".encode())
    content.update(entry.body)
    return content.hexdigest()
