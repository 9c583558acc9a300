"""Writes to a Kong with a database: differences alone, in waves, deletions before the marker.

Only this module writes in that mode.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

from agent.drivers.base import Refused
from agent.drivers.kong.admin_api import Admin
from agent.drivers.kong.entities import PARENTS, Entity
from agent.drivers.kong.markers import REST_WAVE
from agent.drivers.kong.plan import Group, Target

DELETIONS = ("keyauth_credentials", "jwt_secrets", "plugins", "routes", "consumers", "services")
"""Children before parents.

Consumers go before services: a service's plugins name the kinds to read, so that the reader finds the
entities that a half-done removal has left.
"""


@dataclass
class Written:
    """The outcome of writes: their number, and the groups that Kong refused."""

    changes: int = 0
    refused: dict[Group, Refused] = field(default_factory=dict)


class Database:
    """Brings groups from one target to the next."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    def move(self, current: Mapping[Group, Target], targets: Mapping[Group, Target]) -> Written:
        """Write what differs. Raises Unreachable.

        A group that Kong refuses stops at that point; the others go on.
        """
        written = Written()
        writes = [
            (group, entity)
            for group, target in targets.items()
            for entity in target.values()
            if not entity.equals(current[group].get(entity.key))
        ]
        deletions = [
            (group, entity)
            for group, target in targets.items()
            for entity in _deletable(current[group], target)
        ]
        for wave in sorted({entity.wave for _, entity in writes if entity.wave < REST_WAVE}):
            self._run_wave(
                written, self._admin.put, ((group, entity) for group, entity in writes if entity.wave == wave)
            )
        for kind in DELETIONS:
            self._run_wave(
                written,
                self._admin.delete,
                ((group, entity) for group, entity in deletions if entity.kind == kind),
            )
        for wave in sorted({entity.wave for _, entity in writes if entity.wave >= REST_WAVE}):
            self._run_wave(
                written, self._admin.put, ((group, entity) for group, entity in writes if entity.wave == wave)
            )
        return written

    def _run_wave(
        self, written: Written, call: Callable[[Entity], None], work: Iterable[tuple[Group, Entity]]
    ) -> None:
        todo = [(group, entity) for group, entity in work if group not in written.refused]
        results = self._admin.at_once([partial(_refusal_of, call, entity) for _, entity in todo])
        for (group, _), refused in zip(todo, results, strict=True):
            if refused:
                written.refused.setdefault(group, refused)
        written.changes += sum(refused is None for refused in results)


def _refusal_of(call: Callable[[Entity], None], entity: Entity) -> Refused | None:
    try:
        call(entity)
    except Refused as problem:
        return problem
    return None


def _deletable(current: Target, target: Target) -> list[Entity]:
    """The entities to delete, without those that Kong deletes with their parent."""
    superfluous = {key: entity for key, entity in current.items() if key not in target}
    return [entity for entity in superfluous.values() if not _deleted_with_parent(entity, superfluous)]


def _deleted_with_parent(entity: Entity, superfluous: Mapping[tuple[str, UUID], Entity]) -> bool:
    if entity.kind == "routes":
        return False
    return any(
        (kind, parent) in superfluous for name, kind in PARENTS.items() if (parent := entity.parent(name))
    )
