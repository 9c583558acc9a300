"""The entities of a Kong: uniqueness, references, cascades, and what its workers see some seconds later."""

import base64
import json
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.doubles.kong.schemas import KINDS, Entity, Kind, complete, is_id, message_of

Tables = dict[str, dict[str, Entity]]
Tags = tuple[str, tuple[str, ...]]
"""`and` or `or`, and the tags."""


class Refusal(Exception):
    """An answer of the Admin API that is no success."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(body.get("message", ""))
        self.status, self.body = status, body


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Everything at one moment."""

    at: float
    tables: Mapping[str, Mapping[str, Entity]]


@dataclass
class Store:
    """The database, or the memory of a node without one. `history` lets workers see it as it was."""

    plugins: tuple[str, ...]
    tables: Tables = field(default_factory=lambda: {kind_name: {} for kind_name in KINDS})
    history: deque[Snapshot] = field(default_factory=lambda: deque(maxlen=2000))
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.remember()

    def remember(self) -> None:
        """Keep the present tables for the workers."""
        with self.lock:
            self.history.append(
                Snapshot(
                    at=time.monotonic(),
                    tables={kind_name: dict(table) for kind_name, table in self.tables.items()},
                )
            )

    def snapshot_at(self, moment: float) -> Snapshot:
        """The tables at a moment."""
        with self.lock:
            return next(
                (snapshot for snapshot in reversed(self.history) if snapshot.at <= moment), self.history[0]
            )

    def find(self, kind: Kind, key: str) -> Entity | None:
        """By id, or by what may stand for it."""
        table = self.tables[kind.name]
        if is_id(key):
            return table.get(key.lower())
        return next((entity for entity in table.values() if kind.key and entity[kind.key] == key), None)

    def put(self, kind: Kind, key: str, body: Entity) -> Entity:
        """Replace or create. By anything but an id, the id and name of the body count for nothing."""
        with self.lock:
            existing = self.find(kind, key)
            new_id = key.lower() if is_id(key) else str(uuid4())
            entity_id = existing["id"] if existing else new_id
            if not is_id(key):
                body = {**body, kind.key: key}
            return self._write(kind, entity_id, body, created_at=int(time.time()))

    def post(self, kind: Kind, body: Entity) -> Entity:
        """Create."""
        with self.lock:
            return self._write(kind, str(body.get("id") or uuid4()), body, created_at=int(time.time()))

    def patch(self, kind: Kind, existing: Entity, body: Entity) -> Entity:
        """Change what is named."""
        with self.lock:
            return self._write(kind, existing["id"], {**existing, **body}, created_at=existing["created_at"])

    def delete(self, kind: Kind, entity: Entity) -> None:
        """Delete, with what goes along. Raises Refusal for a service that routes need."""
        with self.lock:
            children = [
                (child, row)
                for child in KINDS.values()
                for row in self._children(child, kind.name, entity["id"])
            ]
            if kind.name == "services" and any(child.name == "routes" for child, _ in children):
                message = "an existing 'routes' entity references this 'services' entity"
                raise Refusal(
                    400,
                    {
                        "code": 4,
                        "fields": {"@referenced_by": "routes"},
                        "message": message,
                        "name": "foreign key violation",
                    },
                )
            for child, row in children:
                self.tables[child.name].pop(row["id"], None)
            self.tables[kind.name].pop(entity["id"], None)
            self.remember()

    def replace(self, tables: Tables) -> None:
        """Everything anew, in one step."""
        with self.lock:
            self.tables = {kind_name: tables.get(kind_name, {}) for kind_name in KINDS}
            self.remember()

    def page(
        self, entities: Iterable[Entity], *, size: int, offset: str, tags: Tags | None, dbless: bool
    ) -> Entity:
        """One page in the order of ids. Without a database the page is cut before it is filtered."""
        ordered = sorted(entities, key=lambda entity: entity["id"])
        if tags and not dbless:
            ordered = [entity for entity in ordered if _has(entity, tags)]
        after = _offset_id(offset)
        remaining = [entity for entity in ordered if entity["id"] > after]
        page = remaining[:size]
        is_cut = len(remaining) >= size if dbless else len(remaining) > size
        if tags and dbless:
            if any(entity["tags"] is None for entity in page):
                raise Refusal(500, {"message": "An unexpected error occurred"})
            page = [entity for entity in page if _has(entity, tags)]
        answer: Entity = {"data": page, "next": None}
        if is_cut and remaining:
            last = remaining[size - 1]["id"] if len(remaining) >= size else remaining[-1]["id"]
            answer["offset"] = base64.b64encode(json.dumps([last]).encode()).decode()
        return answer

    def _write(self, kind: Kind, entity_id: str, body: Entity, *, created_at: int) -> Entity:
        entity, wrong = complete(kind, body, plugins=self.plugins)
        if wrong:
            raise Refusal(
                400, {"code": 2, "fields": wrong, "message": message_of(wrong), "name": "schema violation"}
            )
        self._refer(kind, entity)
        entity |= {"id": entity_id, "created_at": created_at}
        if kind.name in {"services", "routes", "consumers", "plugins"}:
            entity["updated_at"] = int(time.time())
        if entity.get("ttl"):
            entity["expires"] = time.time() + entity["ttl"]
        self._check_unique(kind, entity)
        self.tables[kind.name][entity_id] = entity
        self.remember()
        return entity

    def _refer(self, kind: Kind, entity: Entity) -> None:
        for name, parent in kind.parents.items():
            reference = entity[name]
            if reference is None:
                continue
            key = reference.get("id") or reference.get(KINDS[parent].key)
            parent_row = self.find(KINDS[parent], str(key))
            if parent_row is None:
                message = (
                    f"the foreign key '{{id=\"{key}\"}}' does not reference an existing '{parent}' entity."
                )
                raise Refusal(
                    400,
                    {
                        "code": 4,
                        "fields": {name: reference},
                        "message": message,
                        "name": "foreign key violation",
                    },
                )
            entity[name] = {"id": parent_row["id"]}

    def _check_unique(self, kind: Kind, entity: Entity) -> None:
        for names in kind.unique:
            if len(names) == 1 and entity[names[0]] is None:
                continue
            values = {name: entity[name] for name in names}
            rows_besides = [row for row in self.tables[kind.name].values() if row["id"] != entity["id"]]
            if any(all(row[name] == values[name] for name in names) for row in rows_besides):
                pairs = ",".join(f"{name}={_lua(value)}" for name, value in values.items())
                message = f"UNIQUE violation detected on '{{{pairs}}}'"
                raise Refusal(
                    409,
                    {"code": 5, "fields": values, "message": message, "name": "unique constraint violation"},
                )

    def _children(self, child: Kind, parent: str, parent_id: str) -> list[Entity]:
        names = [name for name, kind in child.parents.items() if kind == parent]
        return [
            row
            for row in self.tables[child.name].values()
            for name in names
            if (row[name] or {}).get("id") == parent_id
        ]


def shown(kind: Kind, entity: Entity) -> Entity:
    """An entity as the Admin API shows it."""
    hidden = {"expires"}
    visible = {key: value for key, value in entity.items() if key not in hidden}
    if kind.name == "keyauth_credentials" and "expires" in entity:
        visible["ttl"] = max(0, round(entity["expires"] - time.time()))
    return visible


def _has(entity: Entity, tags: Tags) -> bool:
    mode, requested = tags
    has = set(entity["tags"] or ())
    return has.issuperset(requested) if mode == "and" else not has.isdisjoint(requested)


def _offset_id(offset: str) -> str:
    if not offset:
        return ""
    try:
        return str(json.loads(base64.b64decode(offset, validate=True))[0])
    except (ValueError, IndexError, TypeError) as problem:
        raise Refusal(
            400,
            {
                "code": 7,
                "message": f"'{offset}' is not a valid offset: bad json encoding",
                "name": "invalid offset",
            },
        ) from problem


def _lua(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}={_lua(entry)}" for key, entry in value.items()) + "}"
    return f'"{value}"'
