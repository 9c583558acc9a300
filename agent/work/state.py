"""The agent's memory: per publish the highest generation accepted, the last good spec, the one under way.

Only this module knows the database; only the worker writes.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from agent.drivers.base import Addresses, Desired, PinnedSpec
from agent.files import FileDamaged
from agent.protocol.messages import Absence
from agent.protocol.spec import State, Wire
from agent.sqlite import open_database, remove_database, writing

STATE_FILE = "state.sqlite3"
OLD_STATE_FILE = "publishes.json"
"""Where earlier versions kept the same; it is taken over once."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS publish (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fence (name TEXT PRIMARY KEY, entries TEXT NOT NULL) WITHOUT ROWID;
"""
_NETWORKS, _RESERVED = "upstream_networks", "reserved"
_TEXTS = TypeAdapter(tuple[str, ...])


class Record(Wire):
    """One publish. `highest` stays when all else is gone; `good` was verified.

    `pending` was stored before the gateway was touched.
    """

    highest: int
    good: PinnedSpec | None = None
    pending: PinnedSpec | None = None

    @property
    def desired(self) -> PinnedSpec | None:
        """What the gateway should carry now."""
        return self.pending or self.good


class _Content(Wire):
    """The state of one moment; also the content of the file of earlier versions."""

    upstream_networks: tuple[str, ...] = ()
    reserved: tuple[str, ...] = ()
    publishes: dict[UUID, Record] = {}


def erase(folder: Path) -> None:
    """Forget all, as when the folder gets another kind of gateway. Raises OSError."""
    remove_database(folder / STATE_FILE)
    (folder / OLD_STATE_FILE).unlink(missing_ok=True)


class Store:
    """The state on the disk, a row for each publish. Each change is there when its method returns.

    Readers in other threads see whole snapshots.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / STATE_FILE
        self._database = _open(self._path)
        self._content = _read(self._database, self._path)
        self._take_over(folder / OLD_STATE_FILE)

    def close(self) -> None:
        """End; nothing is lost without it."""
        self._database.close()

    @property
    def records(self) -> Mapping[UUID, Record]:
        """All publishes ever accepted, by id."""
        return MappingProxyType(self._content.publishes)

    @property
    def networks(self) -> tuple[str, ...]:
        """The upstream networks that the control plane named last."""
        return self._content.upstream_networks

    @property
    def reserved(self) -> tuple[str, ...]:
        """The host:port pairs of the control plane that no upstream may be, as it named them last."""
        return self._content.reserved

    def desired(self) -> list[Desired]:
        """All that the gateway should carry, each with what stands in for it when it is refused."""
        return [
            Desired(wanted=record.desired, fallback=record.good)
            for record in self.records.values()
            if record.desired
        ]

    def pending(self) -> list[PinnedSpec]:
        """What was accepted but not verified, say because the agent was killed in between."""
        return [record.pending for record in self.records.values() if record.pending]

    def accept(
        self,
        pending: Iterable[PinnedSpec],
        *,
        refused_generations: Mapping[UUID, int],
        networks: tuple[str, ...],
        reserved: tuple[str, ...] = (),
    ) -> None:
        """Remember new specs, and the generations that were refused, before the gateway is touched.

        Raises CannotWrite, as every change.
        """
        changed = {
            publish: self._raised(publish, generation) for publish, generation in refused_generations.items()
        }
        for pinned_spec in pending:
            record = self._raised(pinned_spec.publish_id, pinned_spec.spec.generation)
            changed[pinned_spec.publish_id] = record.model_copy(
                update={"pending": None if pinned_spec == record.good else pinned_spec}
            )
        self._write(changed, networks=networks, reserved=reserved)

    def settle(self, *, good: Iterable[PinnedSpec] = (), dropped: Iterable[UUID] = ()) -> None:
        """Remember what was verified, and forget the pending specs that were refused."""
        changed = {publish: self.records[publish].model_copy(update={"pending": None}) for publish in dropped}
        for pinned_spec in good:
            changed[pinned_spec.publish_id] = self.records[pinned_spec.publish_id].model_copy(
                update={"good": pinned_spec, "pending": None}
            )
        self._write(changed, networks=self.networks, reserved=self.reserved)

    def forget(self, absences: Iterable[Absence]) -> None:
        """Drop what is gone for good, unless something newer than that was heard of.

        Nobody will ask for an older generation of it.
        """
        absent = {absence.publish_id for absence in absences if self._is_absent(absence)}
        if not absent:
            return
        with writing(self._database, self._path, size=0):
            self._database.executemany(
                "DELETE FROM publish WHERE id = ?", [(str(publish),) for publish in absent]
            )
        remaining = {publish: record for publish, record in self.records.items() if publish not in absent}
        self._content = self._content.model_copy(update={"publishes": remaining})

    def _is_absent(self, absence: Absence) -> bool:
        record = self.records.get(absence.publish_id)
        if not record or not record.good or record.pending or record.highest != absence.generation:
            return False
        spec = record.good.spec
        return (spec.state, spec.generation) == (State.ABSENT, absence.generation)

    def repin(self, moved: Mapping[UUID, Addresses]) -> None:
        """Remember that upstreams of good specs have other addresses now.

        One that got other upstreams in the meantime stays.
        """
        goods = {
            publish: record.good
            for publish, record in self.records.items()
            if publish in moved and record.good
        }
        changed = {
            publish: self.records[publish].model_copy(
                update={"good": good.model_copy(update={"addresses": moved[publish]})}
            )
            for publish, good in goods.items()
            if good.addresses.keys() == moved[publish].keys()
        }
        self._write(changed, networks=self.networks, reserved=self.reserved)

    def _raised(self, publish: UUID, generation: int) -> Record:
        record = self.records.get(publish, Record(highest=generation))
        return record.model_copy(update={"highest": max(record.highest, generation)})

    def _write(
        self, changed: Mapping[UUID, Record], *, networks: tuple[str, ...], reserved: tuple[str, ...]
    ) -> None:
        """Write what differs, in one transaction. Raises CannotWrite."""
        rows = [
            (str(publish), record.model_dump_json())
            for publish, record in changed.items()
            if record != self.records.get(publish)
        ]
        fence = {_NETWORKS: networks, _RESERVED: reserved}
        if not rows and (networks, reserved) == (self.networks, self.reserved):
            return
        with writing(self._database, self._path, size=sum(len(text) for _publish, text in rows)):
            self._database.executemany("INSERT OR REPLACE INTO publish VALUES (?, ?)", rows)
            self._database.executemany(
                "INSERT OR REPLACE INTO fence VALUES (?, ?)",
                [(name, _TEXTS.dump_json(entries).decode()) for name, entries in fence.items()],
            )
        publishes = {**self._content.publishes, **changed}
        self._content = _Content.model_construct(
            upstream_networks=networks, reserved=reserved, publishes=publishes
        )

    def _take_over(self, old: Path) -> None:
        """Write what an earlier version remembered into the database, once.

        Raises FileDamaged, CannotWrite.
        """
        try:
            content = _Content.model_validate_json(old.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        except (OSError, ValidationError, ValueError) as problem:
            raise _damaged(old) from problem
        if not self.records:
            self._write(content.publishes, networks=content.upstream_networks, reserved=content.reserved)
        old.unlink()


def _open(path: Path) -> sqlite3.Connection:
    try:
        return open_database(path, _SCHEMA)
    except sqlite3.DatabaseError as problem:
        raise _damaged(path) from problem


def _read(database: sqlite3.Connection, path: Path) -> _Content:
    try:
        with closing(database.execute("SELECT id, record FROM publish")) as rows:
            publishes = {UUID(publish): Record.model_validate_json(text) for publish, text in rows}
        with closing(database.execute("SELECT name, entries FROM fence")) as rows:
            fence = {name: _TEXTS.validate_json(entries) for name, entries in rows}
    except (sqlite3.DatabaseError, ValidationError, ValueError) as problem:
        raise _damaged(path) from problem
    return _Content(
        upstream_networks=fence.get(_NETWORKS, ()), reserved=fence.get(_RESERVED, ()), publishes=publishes
    )


def _damaged(path: Path) -> FileDamaged:
    # Starting without it would forget the highest generations, and an old command could bring back what was
    # withdrawn.
    return FileDamaged(
        f"{path} is damaged: restore it from a backup, or remove it to fetch everything from the control "
        "plane again."
    )
