"""The records that the agent must never lose.

Per publish the highest generation, the good spec and the pending spec. Only the worker writes them.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from uuid import UUID

from pydantic import ValidationError

from agent.drivers.base import Addresses, Desired, PinnedSpec
from agent.files import FileDamaged, write_durably
from agent.protocol.messages import Absence
from agent.protocol.spec import State, Wire

PUBLISHES_FILE = "publishes.json"


class Record(Wire):
    """One publish: `good` was verified, `pending` was stored before the gateway was touched.

    `highest` stays when both are dropped.
    """

    highest: int
    good: PinnedSpec | None = None
    pending: PinnedSpec | None = None

    @property
    def wanted(self) -> PinnedSpec | None:
        """What the gateway should carry now."""
        return self.pending or self.good


class _Content(Wire):
    upstream_networks: tuple[str, ...] = ()
    reserved: tuple[str, ...] = ()
    publishes: dict[UUID, Record] = {}


class Store:
    """`publishes.json`. Each change is on the disk when its method returns.

    Readers in other threads see whole snapshots.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / PUBLISHES_FILE
        self._content = _read(self._path)

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
            Desired(wanted=record.wanted, fallback=record.good)
            for record in self.records.values()
            if record.wanted
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
        """Remember new specs, and the generations that were refused, before the gateway is touched."""
        changed = {
            publish: self._raised(publish, generation) for publish, generation in refused_generations.items()
        }
        for pinned_spec in pending:
            record = self._raised(pinned_spec.spec.publish_id, pinned_spec.spec.generation)
            changed[pinned_spec.spec.publish_id] = record.model_copy(
                update={"pending": None if pinned_spec == record.good else pinned_spec}
            )
        self._write(changed, networks=networks, reserved=reserved)

    def settle(self, *, good: Iterable[PinnedSpec] = (), dropped: Iterable[UUID] = ()) -> None:
        """Remember what was verified, and forget the pending specs that were refused."""
        changed = {publish: self.records[publish].model_copy(update={"pending": None}) for publish in dropped}
        for pinned_spec in good:
            changed[pinned_spec.spec.publish_id] = self.records[pinned_spec.spec.publish_id].model_copy(
                update={"good": pinned_spec, "pending": None}
            )
        self._write(changed, networks=self.networks, reserved=self.reserved)

    def forget(self, absences: Iterable[Absence]) -> None:
        """Drop publishes that are absent for good at this generation, unless a newer one was accepted.

        Nobody will ask for an older generation of them.
        """
        absent = {absence.publish_id for absence in absences if self._is_absent(absence)}
        if absent:
            remaining = {publish: record for publish, record in self.records.items() if publish not in absent}
            self._replace(self._content.model_copy(update={"publishes": remaining}))

    def _is_absent(self, absence: Absence) -> bool:
        record = self.records.get(absence.publish_id)
        good = (
            record.good.spec
            if record and record.good and not record.pending and record.highest == absence.generation
            else None
        )
        return good is not None and (good.state, good.generation) == (State.ABSENT, absence.generation)

    def repin(self, moved: Mapping[UUID, Addresses]) -> None:
        """Remember new upstream addresses of good specs.

        A spec whose upstreams have changed in the meantime stays.
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
        self._replace(
            _Content(upstream_networks=networks, reserved=reserved, publishes={**self.records, **changed})
        )

    def _replace(self, content: _Content) -> None:
        if content == self._content:
            return
        write_durably(self._path, content.model_dump_json(indent=1) + "\n")
        self._content = content


def _read(path: Path) -> _Content:
    try:
        return _Content.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _Content()
    except (OSError, ValidationError, ValueError) as problem:
        # Starting without the file would forget the highest generations. An old command could then bring back
        # a withdrawn publish.
        raise FileDamaged(
            f"{path} is damaged: restore it from a backup, "
            "or remove it to fetch everything from the control plane again."
        ) from problem
