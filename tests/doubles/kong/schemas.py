"""Kong's entities: their fields with defaults, and the checks whose words the records show."""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.doubles.kong import checks, paths, plugin_schemas

Entity = dict[str, Any]
Check = checks.Check


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of entity.

    `name` is how declarative configurations call it, `path` how the Admin API does, `key` what may stand for
    the id.
    """

    name: str
    path: str
    fields: dict[str, Any]
    checks: dict[str, Check] = field(default_factory=dict)
    entry_checks: dict[str, Check] = field(default_factory=dict)
    """Checks of the entries of lists."""
    unique: tuple[tuple[str, ...], ...] = ()
    parents: dict[str, str] = field(default_factory=dict)
    """Field → kind it refers to."""
    required: tuple[str, ...] = ()
    key: str = ""


def is_id(text: str) -> bool:
    """Whether a path segment is read as an id."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


_TIMES = checks.between(1, 2**31 - 2)
_TAGS: dict[str, Check] = {"tags": checks.tag_fault}

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="services",
            path="services",
            key="name",
            required=("host",),
            fields={
                "ca_certificates": None,
                "client_certificate": None,
                "connect_timeout": 60000,
                "enabled": True,
                "host": None,
                "name": None,
                "path": None,
                "port": 80,
                "protocol": "http",
                "read_timeout": 60000,
                "retries": 5,
                "tags": None,
                "tls_verify": None,
                "tls_verify_depth": None,
                "write_timeout": 60000,
            },
            checks={
                "name": checks.name_fault,
                "port": checks.between(0, 65535),
                "retries": checks.between(0, 32767),
                "path": checks.service_path_fault,
                "connect_timeout": _TIMES,
                "read_timeout": _TIMES,
                "write_timeout": _TIMES,
            },
            entry_checks=_TAGS,
            unique=(("name",),),
        ),
        Kind(
            name="routes",
            path="routes",
            key="name",
            fields={
                "destinations": None,
                "headers": None,
                "hosts": None,
                "https_redirect_status_code": 426,
                "methods": None,
                "name": None,
                "path_handling": "v0",
                "paths": None,
                "preserve_host": False,
                "protocols": ["http", "https"],
                "regex_priority": 0,
                "request_buffering": True,
                "response_buffering": True,
                "service": None,
                "snis": None,
                "sources": None,
                "strip_path": True,
                "tags": None,
            },
            checks={"name": checks.name_fault},
            entry_checks={
                **_TAGS,
                "paths": paths.fault_of,
                "hosts": checks.host_fault,
                "methods": checks.method_fault,
            },
            unique=(("name",),),
            parents={"service": "services"},
        ),
        Kind(
            name="consumers",
            path="consumers",
            key="username",
            fields={"custom_id": None, "tags": None, "username": None},
            entry_checks=_TAGS,
            unique=(("username",), ("custom_id",)),
        ),
        Kind(
            name="plugins",
            path="plugins",
            fields={
                "config": {},
                "consumer": None,
                "enabled": True,
                "instance_name": None,
                "name": None,
                "protocols": ["grpc", "grpcs", "http", "https"],
                "route": None,
                "service": None,
                "tags": None,
            },
            entry_checks=_TAGS,
            unique=(("consumer", "name", "route", "service"), ("instance_name",)),
            parents={"service": "services", "route": "routes", "consumer": "consumers"},
            required=("name",),
        ),
        Kind(
            name="keyauth_credentials",
            path="key-auths",
            fields={"consumer": None, "key": None, "tags": None, "ttl": None},
            entry_checks=_TAGS,
            unique=(("key",),),
            parents={"consumer": "consumers"},
            required=("consumer",),
        ),
        Kind(
            name="jwt_secrets",
            path="jwts",
            fields={
                "algorithm": "HS256",
                "consumer": None,
                "key": None,
                "rsa_public_key": None,
                "secret": None,
                "tags": None,
            },
            checks={"algorithm": checks.algorithm_fault},
            entry_checks=_TAGS,
            unique=(("key",),),
            parents={"consumer": "consumers"},
            required=("consumer",),
        ),
        Kind(
            name="acls",
            path="acls",
            fields={"consumer": None, "group": None, "tags": None},
            entry_checks=_TAGS,
            unique=(("consumer", "group"),),
            parents={"consumer": "consumers"},
            required=("consumer", "group"),
        ),
    )
}


def complete(kind: Kind, body: Entity, *, plugins: tuple[str, ...]) -> tuple[Entity, dict[str, Any]]:
    """The whole entity with its defaults, and its faults: nested fields → messages, as Kong's `fields`."""
    body = _without_url(body) if kind.name == "services" else dict(body)
    wrong: dict[str, Any] = {
        key: "unknown field"
        for key in body
        if key not in kind.fields and key not in {"id", "created_at", "updated_at"}
    }
    entity = {
        key: body[key] if body.get(key) is not None else _fresh(default)
        for key, default in kind.fields.items()
    }
    wrong |= {key: "required field missing" for key in kind.required if entity[key] is None}
    for key, check in kind.checks.items():
        if key not in wrong and entity[key] is not None and (fault := check(entity[key])):
            wrong[key] = fault
    for key, check in kind.entry_checks.items():
        faults = [check(entry) for entry in entity.get(key) or []]
        if any(faults):
            wrong[key] = [fault for fault in faults if fault]
    special = {
        "routes": _route,
        "plugins": _plugin(plugins),
        "consumers": _consumer,
        "keyauth_credentials": _key,
        "jwt_secrets": _jwt,
    }
    if kind.name in special:
        special[kind.name](entity, wrong)
    return entity, wrong


def message_of(wrong: dict[str, Any]) -> str:
    """Kong's one sentence about nested faults."""
    parts = sorted(_flat(wrong, ""), key=lambda part: part[0])
    texts = [f"{path}: {text}" if path else text for path, text in parts]
    return (
        f"schema violation ({texts[0]})"
        if len(texts) == 1
        else f"{len(texts)} schema violations ({'; '.join(texts)})"
    )


def _flat(wrong: Any, path: str) -> list[tuple[str, str]]:
    if isinstance(wrong, dict):
        return [
            part
            for key, value in wrong.items()
            for part in _flat(value, "" if key == "@entity" else f"{path}.{key}".lstrip("."))
        ]
    if isinstance(wrong, list) and path.startswith("config."):
        return [(path, "{\n" + "\n".join(f"  {json.dumps(text)}" for text in wrong) + "\n}")]
    if isinstance(wrong, list):
        return [(f"{path}.{index}" if path else "", text) for index, text in enumerate(wrong, start=1)]
    return [(path, str(wrong))]


def _fresh(default: Any) -> Any:
    return json.loads(json.dumps(default))


def _without_url(body: Entity) -> Entity:
    without_url = {key: value for key, value in body.items() if key != "url"}
    if "url" not in body:
        return without_url
    parts = urlsplit(body["url"])
    if not parts.scheme or not parts.hostname:
        return {**without_url, "path": body["url"]}
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {
        **without_url,
        "protocol": parts.scheme,
        "host": parts.hostname,
        "port": port,
        "path": parts.path or None,
    }


def _route(entity: Entity, wrong: dict[str, Any]) -> None:
    if not any(entity[key] for key in ("methods", "hosts", "headers", "paths", "snis")):
        wrong["@entity"] = [
            "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https'"
        ]
    objections = (
        [] if wrong else [fault for path in entity["paths"] or [] if (fault := paths.unreadable(path))]
    )
    if objections:
        wrong["@entity"] = objections


def _plugin(available: tuple[str, ...]) -> Callable[[Entity, dict[str, Any]], None]:
    def check(entity: Entity, wrong: dict[str, Any]) -> None:
        name = entity["name"]
        if name is None:
            return
        if name not in available:
            wrong["name"] = f"plugin '{name}' not enabled; add it to the 'plugins' configuration property"
            return
        if entity["consumer"] is not None and name in {"key-auth", "jwt", "acl"}:
            wrong["consumer"] = "value must be null"
        entity["config"], faults = plugin_schemas.with_defaults(name, entity["config"])
        whole, config_fault = ([], "") if faults else plugin_schemas.whole_fault(name, entity["config"])
        if faults or config_fault:
            wrong["config"] = faults or config_fault
        if whole:
            wrong["@entity"] = whole

    return check


def _consumer(entity: Entity, wrong: dict[str, Any]) -> None:
    if not entity["username"] and not entity["custom_id"]:
        wrong["@entity"] = ["at least one of these fields must be non-empty: 'custom_id', 'username'"]


def _key(entity: Entity, _wrong: dict[str, Any]) -> None:
    entity["key"] = entity["key"] or secrets.token_hex(16)


def _jwt(entity: Entity, wrong: dict[str, Any]) -> None:
    entity["secret"] = entity["secret"] or secrets.token_hex(16)
    entity["key"] = entity["key"] or secrets.token_hex(16)
    if wrong or entity["algorithm"].startswith("HS"):
        return
    fault = _key_fault(entity["rsa_public_key"])
    if fault:
        wrong |= {
            "@entity": ["failed conditional validation given value of field 'algorithm'"],
            "rsa_public_key": fault,
        }


def _key_fault(text: str | None) -> str:
    if text is None:
        return "required field missing"
    try:
        if text.lstrip().startswith("{"):
            return "" if "kty" in json.loads(text) else "invalid key"
        load_pem_public_key(text.encode())
    except ValueError:
        return "invalid key"
    return ""
