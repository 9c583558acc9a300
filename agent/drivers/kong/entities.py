"""Kong's entities as this driver writes and compares them: ids of our own, tags, and the keys that we set.

Pure; knows no spec and no network.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID, uuid5

Body = dict[str, Any]

TAG = "imp"
HOST_TAG, ADDRESS_TAG = "imp-host:", "imp-address:"
"""Tags of a service: its upstream's name, and the addresses to spread over, where there are several."""
NAMESPACE = UUID("4a1d9c1e-6f0b-5b0e-9a53-0d5a3f1c7b21")
"""For what belongs to no single publish."""

PARENTS = {"service": "services", "route": "routes", "consumer": "consumers"}
PATHS = {
    "services": "services",
    "consumers": "consumers",
    "routes": "routes",
    "plugins": "plugins",
    "keyauth_credentials": "key-auths",
}
PATHS |= {"jwt_secrets": "jwts"}
WAVES = {"services": 0, "consumers": 0, "routes": 1, "plugins": 2, "keyauth_credentials": 3, "jwt_secrets": 3}
KEYS = {
    "services": (
        "name",
        "protocol",
        "host",
        "port",
        "path",
        "connect_timeout",
        "read_timeout",
        "write_timeout",
        "retries",
        "enabled",
        "tls_verify",
        "tags",
    ),
    "routes": (
        "name",
        "hosts",
        "paths",
        "methods",
        "protocols",
        "strip_path",
        "preserve_host",
        "regex_priority",
        "service",
        "tags",
    ),
    "plugins": ("name", "config", "enabled", "service", "route", "consumer", "tags"),
    "consumers": ("username", "tags"),
    "keyauth_credentials": ("key", "consumer", "tags"),
    "jwt_secrets": ("key", "algorithm", "rsa_public_key", "consumer", "tags"),
}
CONFIG_KEYS = {
    "request-termination": ("status_code", "content_type", "body"),
    "key-auth": (
        "key_names",
        "key_in_header",
        "key_in_query",
        "key_in_body",
        "hide_credentials",
        "run_on_preflight",
    ),
    "jwt": (
        "key_claim_name",
        "claims_to_verify",
        "header_names",
        "uri_param_names",
        "cookie_names",
        "run_on_preflight",
    ),
    "pre-function": ("access",),
    "post-function": ("access", "header_filter", "body_filter"),
}


@dataclass(frozen=True, kw_only=True)
class Entity:
    """One entity. `wave` orders the writes of a change: a wave begins when the one before it is done."""

    kind: str
    id: UUID
    body: Body
    wave: int

    @property
    def key(self) -> tuple[str, UUID]:
        return (self.kind, self.id)

    @property
    def path(self) -> str:
        """Always at the top level: below a parent, a missing entity answers 404."""
        return f"/{PATHS[self.kind]}/{self.id}"

    @property
    def label(self) -> str:
        """A name for messages to people; never holds a secret."""
        name = self.body.get("name") or self.body.get("username") or self.id
        kind = self.kind.rstrip("s").replace("keyauth_credential", "key").replace("jwt_secret", "token key")
        return f"{kind} {name}"

    @cached_property
    def canonical(self) -> str:
        """The text by which entities are compared: the keys that we set, but not the generation tag."""
        body = {
            **self.body,
            "tags": sorted(
                str(tag) for tag in self.body.get("tags") or () if not str(tag).startswith("imp-gen:")
            ),
        }
        return json.dumps(_plain(body), sort_keys=True)

    def with_body(self, **change: Any) -> "Entity":
        return Entity(kind=self.kind, id=self.id, body={**self.body, **change}, wave=self.wave)

    def equals(self, other: "Entity | None") -> bool:
        """True when nothing has to be written."""
        return other is not None and self.canonical == other.canonical

    def parent(self, name: str) -> UUID | None:
        """The id of the service, route or consumer that the entity belongs to."""
        reference = self.body.get(name)
        return UUID(reference["id"]) if reference else None


def publish_tag(publish: UUID) -> str:
    """The tag of the publish that an entity belongs to."""
    return f"imp-publish:{publish}"


def generation_tag(generation: int) -> str:
    """The tag of the generation in which an entity was last written."""
    return f"imp-gen:{generation}"


def tag_value(body: Body, prefix: str) -> str:
    """The value of the first tag with this prefix ("" for none)."""
    return next(
        (str(tag).removeprefix(prefix) for tag in body.get("tags") or () if str(tag).startswith(prefix)), ""
    )


def own_id(publish: UUID, name: str) -> UUID:
    """The id of one of a publish's entities: the same at every agent and in every run."""
    return uuid5(publish, name)


def read(kind: str, shown: Body) -> Entity:
    """An entity as the Admin API shows it, reduced to the keys that we set."""
    body = {key: shown.get(key) for key in KEYS[kind]}
    if kind == "plugins":
        config = shown.get("config") or {}
        body["config"] = {key: config.get(key) for key in CONFIG_KEYS.get(str(shown.get("name")), config)}
    return Entity(kind=kind, id=UUID(shown["id"]), body=body, wave=WAVES[kind])


def checksum(entities: Iterable[Entity]) -> str:
    """The checksum of entities that belong together, without the tag that holds it."""
    lines = sorted(f"{entity.kind}:{entity.id}:{_unsummed(entity)}" for entity in entities)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def _unsummed(entity: Entity) -> str:
    tags = [tag for tag in entity.body.get("tags") or () if not str(tag).startswith("imp-sum:")]
    return (
        entity.canonical
        if len(tags) == len(entity.body.get("tags") or ())
        else entity.with_body(tags=tags).canonical
    )


def _plain(value: Any) -> Any:
    """The value without empty lists and nested defaults: Kong shows those that we never set."""
    if isinstance(value, dict):
        return {key: plain for key, raw in value.items() if (plain := _plain(raw)) not in (None, {}, [])}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return value
