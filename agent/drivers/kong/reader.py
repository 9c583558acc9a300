"""The reads of a Kong before each change and at each observation, in as few calls as can be.

Only this module lists its entities.
"""

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agent.drivers.base import Unreachable
from agent.drivers.kong import dbless
from agent.drivers.kong.admin_api import Admin, entities
from agent.drivers.kong.entities import Body, Entity
from agent.drivers.kong.node import Node
from agent.drivers.kong.plan import Group, Inventory, Target
from agent.protocol.spec import AuthMode, Spec, State

BASE = ("services", "routes", "plugins")
KEYS = {"key-auth": ("consumers", "keyauth_credentials"), "jwt": ("consumers", "jwt_secrets")}
"""Guard plugin → the kinds of the entities that pass it."""
GUARD_OF = {AuthMode.API_KEY: "key-auth", AuthMode.OAUTH2: "jwt"}

KEYS_AGE_S = 60.0
"""Seconds for which cached keys count, on a Kong with a database whose other entities have not changed.

Every change of ours changes a route, so only somebody else can have changed keys alone. Such a change is
found this much later.
"""


@dataclass(frozen=True, kw_only=True)
class _Keys:
    """Consumers and credentials as last read or written, with the fingerprint of the rest at that time."""

    node: str
    base_fingerprint: str
    kinds: frozenset[str]
    content: tuple[Entity, ...]
    at: float


class Reader:
    """The reads of one node. Any thread may read; the next read knows what the last one found."""

    def __init__(self) -> None:
        self._keys: _Keys | None = None
        self._whole: tuple[tuple[str, str], Inventory] | None = None

    def read(self, admin: Admin, *, node: Node, specs: Sequence[Spec] = ()) -> Inventory:
        """The inventory, with what these specs need. Raises Unreachable.

        Also raised when a node without a database serves somebody else's configuration.
        """
        return self._read_dbless(admin, node) if node.is_dbless else self._read_database(admin, node, specs)

    def note_written(self, node: Node, groups: Mapping[Group, Target]) -> None:
        """Cache the keys of these groups, which a change has written."""
        if self._keys is None or node.is_dbless:
            return
        written = [entity for target in groups.values() for entity in target.values()]
        base = [entity for entity in written if entity.kind in BASE]
        keys = tuple(entity for entity in written if entity.kind not in BASE)
        self._keys = _Keys(
            node=node.id,
            base_fingerprint=_fingerprint(base),
            kinds=self._keys.kinds,
            content=keys,
            at=self._keys.at,
        )

    def forget(self) -> None:
        """Drop the cached keys, because a change has failed."""
        self._keys = None

    def _read_dbless(self, admin: Admin, node: Node) -> Inventory:
        """Read again only when the configuration hash has changed."""
        content, cached = (node.id, _hash(admin)), self._whole
        if cached and cached[0] == content:
            return cached[1]
        inventory = _read_whole(admin, content[1])
        # Where the hash has changed during the read, the inventory may be that of either configuration.
        self._whole = (content, inventory) if _hash(admin) == content[1] else None
        return inventory

    def _read_database(self, admin: Admin, node: Node, specs: Sequence[Spec]) -> Inventory:
        """Read services, routes and plugins; read keys where a guard needs them and the cache lacks them."""
        listed = admin.listed(BASE, tagged=True)
        base = entities(listed)
        base_fingerprint, cached = _fingerprint(base), self._keys
        kinds = _kinds({*_guards(listed), *(GUARD_OF[mode] for mode in _modes(specs))})
        if (
            not cached
            or (cached.node, cached.base_fingerprint) != (node.id, base_fingerprint)
            or not cached.kinds.issuperset(kinds)
            or time.monotonic() - cached.at > KEYS_AGE_S
        ):
            content = tuple(entities(admin.listed(kinds, tagged=True)))
            cached = _Keys(
                node=node.id,
                base_fingerprint=base_fingerprint,
                kinds=frozenset(kinds),
                content=content,
                at=time.monotonic(),
            )
            self._keys = cached
        return Inventory.of([*base, *cached.content])


def _hash(admin: Admin) -> str:
    return str(admin.get("/status").get("configuration_hash", ""))


def _read_whole(admin: Admin, configuration_hash: str) -> Inventory:
    # A filter would fail on any untagged entity; everything has to be ours anyway.
    listed = admin.listed([*BASE, *_kinds(KEYS)], tagged=False)
    foreign_label = dbless.foreign_label(listed)
    inventory = Inventory.of(entities(listed))
    if foreign_label or (configuration_hash != dbless.EMPTY_HASH and not inventory.groups):
        raise Unreachable(
            dbless.foreign_message(foreign_label or "nothing that this agent reads"),
            code="foreign_configuration",
        )
    return inventory


def _guards(listed: Iterable[tuple[str, list[Body]]]) -> set[str]:
    return {
        str(plugin.get("name")) for kind, shown in listed if kind == "plugins" for plugin in shown
    } & KEYS.keys()


def _modes(specs: Sequence[Spec]) -> set[AuthMode]:
    return {spec.auth.mode for spec in specs if spec.state == State.LIVE} & GUARD_OF.keys()


def _kinds(guards: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(kind for guard in sorted(guards) for kind in KEYS[guard]))


def _fingerprint(base: Iterable[Entity]) -> str:
    """Changes when any of them does; markers carry generation, digest and checksum of their publish."""
    lines = sorted(f"{entity.kind}:{entity.id}:{entity.canonical}" for entity in base)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
