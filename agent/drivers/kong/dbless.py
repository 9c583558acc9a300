"""Writes to a Kong without a database: one configuration for the whole node, made of every group's target.

Only this module writes in that mode.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from agent.drivers.base import Refused
from agent.drivers.kong.admin_api import Admin, Answer
from agent.drivers.kong.db import Written
from agent.drivers.kong.entities import TAG, Body, Entity, tag_value
from agent.drivers.kong.plan import Group, Target, is_same

EMPTY_HASH = "0" * 32
_INSIDE = {
    "routes": ("service",),
    "plugins": ("service", "route", "consumer"),
    "keyauth_credentials": ("consumer",),
    "jwt_secrets": ("consumer",),
}


class Declarative:
    """Brings groups from one target to the next, in one load."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    def move(self, current: Mapping[Group, Target], targets: Mapping[Group, Target]) -> Written:
        """Load everything: the groups of `targets` as they should be, all others of `now` as they are.

        Groups that the node refuses stay as they are; the others do not suffer. Raises Unreachable.
        """
        if all(is_same(current[group], target) for group, target in targets.items()):
            return Written()
        written, remaining = Written(), dict(targets)
        while True:
            answer = self._admin.load(text_of({**current, **remaining}))
            if answer.status != 400:
                written.changes += answer.status == 201
                return written
            refused = _guilty(answer, remaining) or self._sift(current, remaining)
            written.refused |= refused
            remaining = {group: target for group, target in remaining.items() if group not in refused}
            if not remaining or not refused:
                return written

    def _sift(self, current: Mapping[Group, Target], targets: Mapping[Group, Target]) -> dict[Group, Refused]:
        """Add the groups one by one to what stands: an error may name no group (a doubled key)."""
        good: dict[Group, Target] = {}
        refused = {}
        for group, target in targets.items():
            answer = self._admin.load(text_of({**current, **good, group: target}))
            if answer.status == 400:
                message = f"This Kong refuses the configuration with this publish: {_fields_at_fault(answer)}"
                refused[group] = Refused(message, code="gateway_refused", entity=f"publish {group}")
            else:
                good[group] = target
        return refused


def text_of(groups: Mapping[Group, Target]) -> str:
    """The configuration as the text whose hash Kong keeps: the same content is the same text."""
    entities = sorted(
        (entity for target in groups.values() for entity in target.values()),
        key=lambda entity: str(entity.id),
    )
    top = [entity for entity in entities if not _parent(entity)]
    config: Body = {"_format_version": "3.0"}
    for kind in ("services", "routes", "consumers"):
        listed = [_declared(entity, entities) for entity in top if entity.kind == kind]
        config |= {kind: listed} if listed else {}
    return json.dumps(config, sort_keys=True, ensure_ascii=False)


def foreign_message(content: str) -> str:
    """The reason to leave a node alone."""
    return (
        f"This Kong serves a configuration of its own ({content}). "
        "Without a database the agent would have to replace it all."
    )


def foreign_label(entities: Iterable[tuple[str, list[Body]]]) -> str:
    """The label of an entity that is not ours, "" for none.

    With one, the node serves somebody else's configuration, and a load would wipe it.
    """
    for kind, listed in entities:
        for entity in listed:
            if TAG not in (entity.get("tags") or ()):
                return f"{kind.rstrip('s')} {entity.get('name') or entity['id']}"
    return ""


def _declared(entity: Entity, entities: list[Entity]) -> Body:
    outside = _INSIDE.get(entity.kind, ())
    own = {key: value for key, value in entity.body.items() if value is not None and key not in outside}
    declared: Body = {"id": str(entity.id), **own}
    for child in entities:
        if _parent(child) == entity.id:
            declared.setdefault(child.kind, []).append(_declared(child, entities))
    return declared


def _parent(entity: Entity) -> UUID | None:
    return next((parent for name in _INSIDE.get(entity.kind, ()) if (parent := entity.parent(name))), None)


def _guilty(answer: Answer, targets: Mapping[Group, Target]) -> dict[Group, Refused]:
    """The groups that the flattened errors name."""
    flattened = answer.body.get("flattened_errors") if isinstance(answer.body, dict) else None
    refused: dict[Group, Refused] = {}
    for error in flattened if isinstance(flattened, list) else []:
        group = _group_named(error)
        if group in targets:
            refused.setdefault(group, _refusal(error))
    return refused


def _group_named(error: dict[str, Any]) -> Group:
    tags = {"tags": error.get("entity_tags") or []}
    return tag_value(tags, "imp-publish:") or (
        f"issuer:{issuer}" if (issuer := tag_value(tags, "imp-issuer:")) else ""
    )


def _refusal(error: dict[str, Any]) -> Refused:
    name = error.get("entity_name") or error.get("entity_id", "")
    entity = f"{error.get('entity_type', 'entity')} {name}".strip()
    first: Body = next(iter(error.get("errors") or [{}]), {})
    is_secret = "credential" in str(error.get("entity_type")) or "secret" in str(error.get("entity_type"))
    reason = "" if is_secret else f": {first.get('message', '')}"
    return Refused(
        f"Kong refuses {entity}{reason}",
        code="gateway_refused",
        entity=entity,
        field=str(first.get("field", "")),
    )


def _fields_at_fault(answer: Answer) -> str:
    """The names of the fields at fault, and nothing that could be a key."""
    fields = answer.body.get("fields") if isinstance(answer.body, dict) else None
    return (
        f"fault in {', '.join(sorted(fields))}"
        if isinstance(fields, dict) and fields
        else "it does not say why"
    )
