"""A publish's routes and plugins as Kong entities, from which routing, markers and auth are put together.

Pure functions; only this module knows the keys that all of them have.
"""

from typing import Any
from uuid import UUID

from agent.drivers.kong.entities import TAG, WAVES, Body, Entity, generation_tag, own_id, publish_tag
from agent.protocol.spec import Spec


def route_entity(
    spec: Spec,
    name: str,
    *,
    paths: list[str],
    methods: list[str] | None,
    wave: int = WAVES["routes"],
    **extra: Any,
) -> Entity:
    """A route of the publish's host, to no service. `extra` are further keys, and the `priority`."""
    body = {
        "name": f"imp.{spec.publish_id}.{name}",
        "hosts": [spec.host],
        "paths": paths,
        "methods": methods,
        "protocols": ["http", "https"],
        "strip_path": False,
        "preserve_host": False,
        "regex_priority": extra.pop("priority", 1),
        "service": None,
        "tags": tags_of(spec),
        **extra,
    }
    return Entity(kind="routes", id=own_id(spec.publish_id, f"route:{name}"), body=body, wave=wave)


def plugin(spec: Spec, name: str, scope: str, parent: UUID, *, config: Body, wave: int) -> Entity:
    """A plugin at one service or route; never a global one."""
    scopes = {"service": None, "route": None, "consumer": None, scope: {"id": str(parent)}}
    body = {"name": name, "config": config, "enabled": True, **scopes, "tags": tags_of(spec)}
    return Entity(kind="plugins", id=own_id(spec.publish_id, f"plugin:{name}:{parent}"), body=body, wave=wave)


def tags_of(spec: Spec) -> list[str]:
    """The tags of everything that stands for a spec: ours, its publish and its generation."""
    return [TAG, publish_tag(spec.publish_id), generation_tag(spec.generation)]
