"""Declarative configurations: the text that a node without a database loads as a whole, and its errors."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

import yaml

from tests.doubles.kong.schemas import KINDS, Entity, Kind, complete, is_id
from tests.doubles.kong.store import Refusal, Tables

_NESTED = {
    "services": {"routes": "service", "plugins": "service"},
    "routes": {"plugins": "route"},
    "consumers": {
        "keyauth_credentials": "consumer",
        "jwt_secrets": "consumer",
        "acls": "consumer",
        "plugins": "consumer",
    },
}
_VERSIONS = ("1.1", "2.1", "3.0")
Place = tuple[str | int, ...]


@dataclass
class _Reading:
    """One configuration on its way into tables."""

    plugins: tuple[str, ...]
    tables: Tables = field(default_factory=lambda: {kind_name: {} for kind_name in KINDS})
    flat: list[Entity] = field(default_factory=list)
    nested: list[tuple[Place, Any]] = field(default_factory=list)
    loose: dict[str, Any] = field(default_factory=dict)
    is_broken: bool = False
    """A fault that Kong itself stumbles over."""


def parse(text: str) -> Any:
    """The configuration in a text. Raises Refusal."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as problem:
        # Not in the records: any other fault.
        message = "failed parsing declarative configuration: 1:2: did not find expected node content"
        raise _refusal({"error": message}, flattened=[]) from problem


def load(config: Any, *, plugins: tuple[str, ...], now: int, flatten: bool) -> Tables:
    """The tables of a configuration. Raises Refusal, naming the guilty when `flatten`."""
    if not isinstance(config, dict):
        raise Refusal(400, {"message": "expected a declarative configuration"})
    loose = _top_faults(config)
    reading = _Reading(plugins=plugins, loose=loose)
    for row in [] if loose else list(_walk(config)):
        _take(reading, row, now=now)
    _check_references(reading)
    if reading.is_broken:
        raise Refusal(500, {"message": "An unexpected error occurred"})
    if reading.flat or reading.nested or reading.loose:
        raise _refused(reading, flatten=flatten)
    return reading.tables


def _top_faults(config: Entity) -> dict[str, Any]:
    if "_format_version" not in config:
        return {"_format_version": "required field missing"}
    if str(config["_format_version"]) not in _VERSIONS:
        return {"_format_version": f"expected one of: {', '.join(_VERSIONS)}"}
    return {key: "unknown field" for key in config if key not in KINDS and not key.startswith("_")}


@dataclass(frozen=True, kw_only=True)
class _Declared:
    """One entity as the configuration has it. `parent` is the reference that comes from where it stands."""

    kind: Kind
    place: Place
    entity: Entity
    parent: Entity
    id: str


def _walk(config: Entity) -> Iterator[_Declared]:
    for kind_name in KINDS:
        for index, declared in enumerate(config.get(kind_name) or []):
            yield from _walk_entity(kind_name, (kind_name, index), declared, {})


def _walk_entity(kind_name: str, place: Place, declared: Entity, parent: Entity) -> Iterator[_Declared]:
    inside = _NESTED.get(kind_name, {})
    own = {key: value for key, value in declared.items() if key not in inside}
    own_id = str(own.get("id") or _id_of(kind_name, own))
    yield _Declared(kind=KINDS[kind_name], place=place, entity=own, parent=parent, id=own_id)
    for child, name in inside.items():
        for index, child_entity in enumerate(declared.get(child) or []):
            yield from _walk_entity(child, (*place, child, index), child_entity, {name: {"id": own_id}})


def _id_of(kind_name: str, declared: Entity) -> str:
    # Consumers and groups get the same id in each load, credentials a random one.
    name = declared.get("username") or declared.get("group") if kind_name in {"consumers", "acls"} else None
    return str(uuid5(NAMESPACE_URL, f"{kind_name}:{name}")) if name else str(uuid4())


def _take(reading: _Reading, declared: _Declared, *, now: int) -> None:
    kind = declared.kind
    references = {
        name: {"id": value} if isinstance(value, str) else value
        for name, value in declared.entity.items()
        if name in kind.parents
    }
    entity, wrong = complete(
        kind, {**declared.entity, **references, **declared.parent}, plugins=reading.plugins
    )
    entity |= {"id": declared.id, "created_at": now}
    if kind.name in {"services", "routes", "consumers", "plugins"}:
        entity["updated_at"] = now
    twin = _twin(reading, kind, entity)
    if twin and kind.name == "keyauth_credentials":
        reading.loose.setdefault(kind.name, []).append(twin)
    elif twin:
        reading.flat.append(_flat_entry(declared, [{"message": twin, "type": "entity"}]))
    elif wrong:
        reading.flat.append(_flat_entry(declared, _flat_errors(wrong)))
        reading.nested.append((declared.place, wrong))
    else:
        reading.tables[kind.name][entity["id"]] = entity


def _twin(reading: _Reading, kind: Kind, entity: Entity) -> str:
    table = reading.tables[kind.name]
    if entity["id"] in table:
        return _uniqueness_violation(kind, "primary key", entity["id"])
    for names in kind.unique:
        # Without a database, one plugin twice in one scope is taken.
        if (
            len(names) == 1
            and entity[names[0]] is not None
            and any(row[names[0]] == entity[names[0]] for row in table.values())
        ):
            return _uniqueness_violation(kind, names[0], entity[names[0]])
    return ""


def _uniqueness_violation(kind: Kind, field_name: str, value: Any) -> str:
    return f"uniqueness violation: '{kind.name}' entity with {field_name} set to '{value}' already declared"


def _check_references(reading: _Reading) -> None:
    for kind in KINDS.values():
        for entity in reading.tables[kind.name].values():
            for name, parent in kind.parents.items():
                _check_reference(reading, kind, entity, name=name, parent=parent)


def _check_reference(reading: _Reading, kind: Kind, entity: Entity, *, name: str, parent: str) -> None:
    reference = entity[name]
    if reference is None or reading.flat:
        return
    key, table = reference["id"], reading.tables[parent]
    parent_row = (
        table.get(key)
        if is_id(key)
        else next((row for row in table.values() if row[KINDS[parent].key] == key), None)
    )
    if parent_row:
        entity[name] = {"id": parent_row["id"]}
        return
    label = entity.get("instance_name") if kind.name == "plugins" else entity.get(kind.key or "id")
    if label is None:
        reading.is_broken = True
        return
    reading.nested.append(
        ((kind.name, label), [f"invalid reference '{name}: {key}' (no such entry in '{parent}')"])
    )


def _flat_entry(declared: _Declared, errors: list[Entity]) -> Entity:
    entity, kind = declared.entity, declared.kind
    entry: Entity = {
        "entity": {**entity, **declared.parent},
        "entity_type": kind.name.rstrip("s"),
        "errors": errors,
    }
    named = {"entity_name": kind.key or "name", "entity_id": "id", "entity_tags": "tags"}
    return entry | {label: entity[name] for label, name in named.items() if name in entity}


def _flat_errors(wrong: Any, path: str = "") -> list[Entity]:
    if isinstance(wrong, dict):
        return [
            error
            for key, value in wrong.items()
            for error in _flat_errors(value, "@entity" if key == "@entity" else f"{path}.{key}".lstrip("."))
        ]
    if isinstance(wrong, list) and path == "@entity":
        return [{"message": message, "type": "entity"} for message in wrong]
    if isinstance(wrong, list):
        return [
            {"field": f"{path}.{index}", "message": message, "type": "field"}
            for index, message in enumerate(wrong, start=1)
        ]
    return [{"field": path, "message": wrong, "type": "field"}]


def _refused(reading: _Reading, *, flatten: bool) -> Refusal:
    if flatten:
        return _refusal(reading.loose, flattened=reading.flat)
    fields: Any = dict(reading.loose)
    for place, wrong in reading.nested:
        _plant(fields, place, wrong)
    return _refusal(_as_lists(fields), flattened=None)


def _plant(tree: dict[Any, Any], place: Place, wrong: Any) -> None:
    for step in place[:-1]:
        tree = tree.setdefault(step, {})
    present = tree.get(place[-1])
    tree[place[-1]] = {**present, **wrong} if isinstance(present, dict) and isinstance(wrong, dict) else wrong


def _as_lists(tree: Any) -> Any:
    """Positions become places in lists, with null for what is fine."""
    if not isinstance(tree, dict):
        return tree
    if tree and all(isinstance(key, int) for key in tree):
        return [_as_lists(tree.get(index)) for index in range(max(tree) + 1)]
    return {key: _as_lists(value) for key, value in tree.items()}


def _refusal(fields: dict[str, Any], *, flattened: list[Entity] | None) -> Refusal:
    body: Entity = {"code": 14, "fields": fields, "name": "invalid declarative configuration"}
    body["message"] = f"declarative config is invalid: {_lua(fields)}"
    if flattened is not None and "error" not in fields:
        # Kong's order is random; ours is fixed, so that tests can say what they expect.
        body["flattened_errors"] = sorted(flattened, key=lambda entry: str(entry["entity_type"])) or {}
    return Refusal(400, body)


def _lua(value: Any) -> str:
    if isinstance(value, dict):
        named = (
            f"{key}={_lua(entry)}"
            if str(key).replace("_", "").isalnum()
            else f"[{json.dumps(key)}]={_lua(entry)}"
            for key, entry in sorted(value.items())
        )
        return "{" + ",".join(named) + "}"
    if isinstance(value, list):
        return "{" + ",".join(_lua(entry) for entry in value) + "}"
    return f'"{value}"'
