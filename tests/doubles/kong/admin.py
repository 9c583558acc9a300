"""The Admin API: paths, methods, bodies and answers. Knows nothing of sockets."""

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlencode, urlsplit

import yaml

from tests.doubles.kong import declarative
from tests.doubles.kong.exchange import Answer
from tests.doubles.kong.plugin_schemas import PRIORITIES
from tests.doubles.kong.schemas import KINDS, Entity, Kind
from tests.doubles.kong.store import Refusal, Store, shown

NO_HASH = "0" * 32
MAX_BODY = 10 * 1024 * 1024
METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"
CHILDREN = {
    ("services", "routes"): ("routes", "service"),
    ("services", "plugins"): ("plugins", "service"),
    ("routes", "plugins"): ("plugins", "route"),
    ("consumers", "plugins"): ("plugins", "consumer"),
    ("consumers", "key-auth"): ("keyauth_credentials", "consumer"),
    ("consumers", "jwt"): ("jwt_secrets", "consumer"),
    ("consumers", "acls"): ("acls", "consumer"),
}
_BY_PATH = {kind.path: kind for kind in KINDS.values()}
_MEMORY = {
    "lua_shared_dicts": {
        "kong": {"allocated_slabs": "0.04 MiB", "capacity": "5.00 MiB"},
        "kong_db_cache": {"allocated_slabs": "0.80 MiB", "capacity": "128.00 MiB"},
        "kong_rate_limiting_counters": {"allocated_slabs": "0.09 MiB", "capacity": "12.00 MiB"},
    },
    "workers_lua_vms": [{"http_allocated_gc": "50.00 MiB", "pid": 1}],
}
_COUNTERS = [
    f"connections_{name}" for name in ("accepted", "active", "handled", "reading", "waiting", "writing")
] + ["total_requests"]
_CONFIGURATION: Entity = {
    "db_cache_ttl": 0,
    "headers": ["server_tokens", "latency_tokens", "x-kong-request-id"],
    "lmdb_map_size": "2048m",
    "nginx_admin_client_max_body_size": "10m",
    "real_ip_header": "X-Real-IP",
    "role": "traditional",
    "trusted_ips": {},
    "untrusted_lua_sandbox_environment": {},
}
_TITLES = {413: "Request Entity Too Large", 415: "Unsupported Media Type"}


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of the Admin API."""

    method: str
    path: str
    content_type: str = ""
    body: bytes = b""
    token: str = ""

    @property
    def query(self) -> dict[str, str]:
        return {
            name: values[-1]
            for name, values in parse_qs(urlsplit(self.path).query, keep_blank_values=True).items()
        }

    @property
    def steps(self) -> list[str]:
        return [unquote(step) for step in urlsplit(self.path).path.strip("/").split("/") if step]


@dataclass(kw_only=True)
class Admin:
    """The Admin API of one node."""

    store: Store
    database: str = "postgres"
    version: str = "3.9.3"
    untrusted_lua: str = "sandbox"
    sandbox_requires: tuple[str, ...] = ()
    router_flavor: str = "traditional_compatible"
    consistency: str = "strict"
    polls_every_s: float = 5
    passes_on_after_s: float = 0
    rebuilds_every_s: float = 5
    node_id: str = "5f0d3a52-7a55-4b47-a53d-8d0a3a0c1f6e"
    reachable: bool = True
    configuration_hash: str = NO_HASH
    config: Any = None

    def answer(self, call: Call) -> Answer:
        """The answer to one call."""
        try:
            if len(call.body) > MAX_BODY:
                return _html(413)
            return self._dispatch(call)
        except Refusal as problem:
            return Answer.json(problem.status, problem.body)
        except _Unreadable:
            return _html(415)

    @property
    def is_dbless(self) -> bool:
        return self.database == "off"

    def readiness(self) -> tuple[bool, str]:
        """What the status listener says."""
        if not self.reachable:
            return False, "failed to connect to database"
        if self.is_dbless and self.configuration_hash == NO_HASH:
            return False, "no configuration available (empty configuration present)"
        return True, "ready"

    def _dispatch(self, call: Call) -> Answer:
        steps = call.steps
        if steps == ["status"]:
            return Answer.json(200, self._status())
        if not self.reachable:
            raise Refusal(
                500, {"message": "An unexpected error occurred" if steps else "An unexpected error happened"}
            )
        if not steps:
            return Answer.json(200, self._root())
        if steps == ["plugins", "enabled"]:
            return Answer.json(200, {"enabled_plugins": sorted(self.store.plugins)})
        if steps == ["config"]:
            return self._config(call)
        if steps[0] == "tags":
            return Answer.json(200, self._tags(steps[1:], call.query))
        if steps[0] not in _BY_PATH or len(steps) > 4:
            raise Refusal(404, {"message": "Not found"})
        return self._entities(call, steps)

    def _status(self) -> Entity:
        kind: Entity = (
            {"configuration_hash": self.configuration_hash}
            if self.is_dbless
            else {"database": {"reachable": self.reachable}}
        )
        return kind | {"memory": _MEMORY, "server": dict.fromkeys(_COUNTERS, 0)}

    def _root(self) -> Entity:
        plugins = {
            name: {"priority": PRIORITIES[name], "version": self.version} for name in self.store.plugins
        }
        configuration = _CONFIGURATION | {
            "database": self.database,
            "db_update_frequency": self.polls_every_s,
            "db_update_propagation": self.passes_on_after_s,
            "router_flavor": self.router_flavor,
            "untrusted_lua": self.untrusted_lua,
            "untrusted_lua_sandbox_requires": list(self.sandbox_requires) or {},
            "worker_consistency": self.consistency,
            "worker_state_update_frequency": self.rebuilds_every_s,
        }
        fixed: Entity = {
            "edition": "community",
            "tagline": "Welcome to kong",
            "version": self.version,
            "node_id": self.node_id,
            "hostname": "kong",
        }
        fixed |= {
            "lua_version": "LuaJIT 2.1",
            "pids": {"master": 1, "workers": [2]},
            "timers": {"pending": 0, "running": 0},
        }
        return {
            **fixed,
            "configuration": configuration,
            "plugins": {"available_on_server": plugins, "enabled_in_cluster": []},
        }

    def _tags(self, steps: list[str], query: dict[str, str]) -> Entity:
        listed = [
            {"entity_id": entity["id"], "entity_name": kind.name, "tag": tag}
            for kind in KINDS.values()
            for entity in sorted(self.store.tables[kind.name].values(), key=lambda entity: entity["id"])
            for tag in entity["tags"] or ()
            if not steps or tag == steps[0]
        ]
        # Not in the records: the order among kinds, and the pages after the first.
        return {"data": listed[: int(query.get("size", 100))], "next": None}

    def _entities(self, call: Call, steps: list[str]) -> Answer:
        kind, fixed = _BY_PATH[steps[0]], {}
        if len(steps) > 2:
            parent = self._find_or_refuse(kind, steps[1])
            if (steps[0], steps[2]) not in CHILDREN:
                raise Refusal(404, {"message": "Not found"})
            child_kind, name = CHILDREN[steps[0], steps[2]]
            kind, fixed = KINDS[child_kind], {name: {"id": parent["id"]}}
            steps = steps[2:]
        if len(steps) == 1:
            return self._collection(call, kind, fixed)
        return self._single(call, kind, steps[1], fixed)

    def _collection(self, call: Call, kind: Kind, fixed: Entity) -> Answer:
        if call.method == "GET":
            return Answer.json(200, self._list(call, kind, fixed))
        if call.method == "POST":
            self._refuse_without_database(kind, "create")
            return Answer.json(201, shown(kind, self.store.post(kind, {**_read(call), **fixed})))
        raise Refusal(405, {"message": "Method not allowed"})

    def _list(self, call: Call, kind: Kind, fixed: Entity) -> Entity:
        query = call.query
        size = query.get("size", "100")
        if not size.isdigit() or not 1 <= int(size) <= 1000:
            raise Refusal(
                400,
                {"code": 9, "message": "size must be an integer between 1 and 1000", "name": "invalid size"},
            )
        entities = [
            row
            for row in self.store.tables[kind.name].values()
            if all(row[name] == value for name, value in fixed.items())
        ]
        tags = _filter(query["tags"]) if "tags" in query else None
        page = self.store.page(
            entities, size=int(size), offset=query.get("offset", ""), tags=tags, dbless=self.is_dbless
        )
        page["data"] = [self._shown(kind, row) for row in page["data"]]
        if "offset" in page:
            same_query: dict[str, str] = {name: query[name] for name in ("tags", "size") if name in query}
            page["next"] = f"{urlsplit(call.path).path}?offset={quote(page['offset'], safe='')}" + (
                f"&{urlencode(list(same_query.items()))}" if same_query else ""
            )
        return page

    def _single(self, call: Call, kind: Kind, key: str, fixed: Entity) -> Answer:
        if call.method in {"GET", "HEAD"}:
            return Answer.json(200, self._shown(kind, self._find_or_refuse(kind, key, fixed)))
        if call.method == "OPTIONS":
            return Answer(
                status=204, headers=[("Allow", METHODS), ("Access-Control-Allow-Methods", METHODS)], body=b""
            )
        if call.method == "PUT":
            self._refuse_without_database(kind, "create or update")
            return Answer.json(200, shown(kind, self.store.put(kind, key, {**_read(call), **fixed})))
        if call.method == "PATCH":
            self._refuse_without_database(kind, "update")
            return Answer.json(
                200,
                shown(
                    kind,
                    self.store.patch(kind, self._find_or_refuse(kind, key, fixed), {**_read(call), **fixed}),
                ),
            )
        if call.method == "DELETE":
            self._refuse_without_database(kind, "remove")
            return self._delete(kind, key, fixed)
        raise Refusal(405, {"message": "Method not allowed"})

    def _shown(self, kind: Kind, entity: Entity) -> Entity:
        visible = shown(kind, entity)
        return {
            key: value
            for key, value in visible.items()
            if not (self.is_dbless and key == "ttl" and value is None)
        }

    def _delete(self, kind: Kind, key: str, fixed: Entity) -> Answer:
        entity = self._find_or_refuse(kind, key, fixed) if fixed else self.store.find(kind, key)
        if entity:
            self.store.delete(kind, entity)
        return Answer(status=204, headers=[], body=b"")

    def _find_or_refuse(self, kind: Kind, key: str, fixed: Entity | None = None) -> Entity:
        entity = self.store.find(kind, key)
        if entity is None or any(entity[name] != value for name, value in (fixed or {}).items()):
            raise Refusal(404, {"message": "Not found"})
        return entity

    def _refuse_without_database(self, kind: Kind, verb: str) -> None:
        if self.is_dbless:
            message = f"cannot {verb} '{kind.name}' entities when not using a database"
            raise Refusal(405, {"code": 12, "message": message, "name": "operation unsupported"})

    def _config(self, call: Call) -> Answer:
        if not self.is_dbless:
            raise Refusal(
                400,
                {"message": "this endpoint is only available when Kong is configured to not use a database"},
            )
        if call.method == "GET":
            return Answer.json(200, {"config": yaml.safe_dump(self.config)})
        text, config = _declared(call)
        digest = (
            hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
            if text
            else hashlib.md5(str(time.time_ns()).encode()).hexdigest()  # noqa: S324
        )
        if call.query.get("check_hash") and digest == self.configuration_hash:
            return Answer(status=304, headers=[], body=b"")
        tables = declarative.load(
            config,
            plugins=self.store.plugins,
            now=int(time.time()),
            flatten=bool(call.query.get("flatten_errors")),
        )
        self.store.replace(tables)
        is_empty = not any(tables.values())
        self.configuration_hash, self.config = (NO_HASH if is_empty else digest), config
        return Answer.json(
            201,
            {
                child_kind: {key: self._shown(KINDS[child_kind], row) for key, row in table.items()}
                for child_kind, table in tables.items()
                if table
            },
        )


class _Unreadable(Exception):
    pass


def _read(call: Call) -> Entity:
    if not call.body:
        return {}
    if "json" in call.content_type:
        try:
            body = json.loads(call.body)
        except ValueError as problem:
            raise Refusal(400, {"message": "Cannot parse JSON body"}) from problem
        return body if isinstance(body, dict) else {}
    if "x-www-form-urlencoded" in call.content_type:
        return dict(parse_qsl(call.body.decode()))
    raise _Unreadable


def _declared(call: Call) -> tuple[str, Any]:
    """The text of a configuration ("" when it came as an object), and what it says."""
    if "yaml" in call.content_type:
        text = call.body.decode()
        return text, declarative.parse(text)
    body = _read(call)
    if not body:
        raise Refusal(400, {"message": "expected a declarative configuration"})
    if isinstance(body.get("config"), str):
        return body["config"], declarative.parse(body["config"])
    return "", body


def _filter(text: str) -> tuple[str, tuple[str, ...]]:
    fault = "" if text else "cannot be null"
    if "," in text and "/" in text:
        fault = "invalid filter syntax"
    if fault:
        raise Refusal(
            400,
            {
                "code": 11,
                "message": f"invalid option (tags: {fault})",
                "name": "invalid options",
                "options": {"tags": fault},
            },
        )
    return ("or", tuple(text.split("/"))) if "/" in text else ("and", tuple(text.split(",")))


def _html(status: int) -> Answer:
    title = f"{status} {_TITLES[status]}"
    text = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n"
        f"<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
    return Answer(status=status, headers=[("Content-Type", "text/html; charset=UTF-8")], body=text.encode())
