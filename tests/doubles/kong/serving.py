"""What the proxy does with one request: route, plugins in their order, upstream.

Knows nothing of sockets of callers.
"""

import http.client
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.kong import auth, paths, router
from tests.doubles.kong.exchange import Answer, Exchange
from tests.doubles.kong.lua import LuaFailed, Sandbox
from tests.doubles.kong.pdk import Pdk
from tests.doubles.kong.plugin_schemas import PRIORITIES
from tests.doubles.kong.schemas import Entity
from tests.doubles.kong.store import Snapshot, Store

ORDER = sorted(PRIORITIES, key=lambda name: -PRIORITIES[name])
RUNS = {
    "pre-function",
    "jwt",
    "key-auth",
    "acl",
    "request-transformer",
    "request-termination",
    "post-function",
}
"""What runs on a request here; response-transformer runs on the way back.

Not in this double: rate-limiting, cors, correlation-id.
"""

HOP = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "te",
    "upgrade",
    "proxy-authorization",
    "host",
    "content-length",
}


class Hangup(Exception):
    """The connection is closed without an answer."""


@dataclass(kw_only=True)
class Worker:
    """One nginx worker: it sees routes and plugins some seconds late, each by a timer of its own."""

    routes_late_s: float = 0.0
    plugins_late_s: float = 0.0


@dataclass(kw_only=True)
class Proxy:
    """The serving half of a node."""

    store: Store
    moved: dict[int, int] = field(default_factory=dict)
    """Upstream port written in the configuration → port really asked."""
    untrusted_lua: str = "sandbox"
    _ways: tuple[float, list[Any]] = (-1.0, [])
    _lua: Sandbox = field(default_factory=Sandbox)
    _lua_lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, exchange: Exchange, worker: Worker, *, proxy_port: int) -> Answer:
        """The answer to one request. Raises Hangup."""
        now = time.monotonic()
        routing, plugins = (
            self.store.snapshot_at(now - worker.routes_late_s),
            self.store.snapshot_at(now - worker.plugins_late_s),
        )
        match = router.find(
            self._table(routing),
            routing.tables["services"],
            host=exchange.host,
            method=exchange.method,
            path=exchange.path,
        )
        chosen = _Chosen(plugins.tables["plugins"], match)
        if match is None:
            return self._run_response_phases(
                exchange.problem(404, "no Route matched with those values", headers={}),
                exchange,
                chosen,
                source="exit",
            )
        if answer := self._through(exchange, chosen):
            return self._run_response_phases(answer, exchange, chosen, source="exit")
        return self._run_response_phases(
            self._forward(exchange, match, proxy_port), exchange, chosen, source="service"
        )

    def _table(self, routing: Snapshot) -> list[Any]:
        if self._ways[0] != routing.at:
            self._ways = (
                routing.at,
                router.candidates_of(routing.tables["routes"].values(), routing.tables["services"]),
            )
        return self._ways[1]

    def _through(self, exchange: Exchange, chosen: "_Chosen") -> Answer | None:
        for name in ORDER:
            plugin = chosen.plugin(name, exchange.consumer)
            if plugin and name in RUNS and (answer := self._run(name, plugin["config"], exchange, chosen)):
                return answer
        return None

    def _run(self, name: str, config: Entity, exchange: Exchange, chosen: "_Chosen") -> Answer | None:
        # Credentials are looked up when they are needed, so their changes are seen at once.
        if name == "key-auth":
            return auth.key_auth(config, exchange, self.store.tables)
        if name == "jwt":
            return auth.jwt(config, exchange, self.store.tables)
        if name == "acl":
            return auth.acl(config, exchange, self.store.tables)
        if name == "request-termination":
            return _terminate(config)
        if name == "request-transformer":
            _transform(config, exchange)
            return None
        return self._function(config["access"], Pdk(exchange=exchange, service=chosen.service))

    def _function(self, codes: list[str], pdk: Pdk) -> Answer | None:
        if self.untrusted_lua == "off":
            raise Hangup
        for code in codes:
            try:
                with self._lua_lock:
                    exit_call = self._lua.run(code, pdk)
            except LuaFailed:
                return pdk.exchange.problem(500, "An unexpected error occurred", headers={})
            if exit_call:
                kind = [("Content-Type", "application/json; charset=utf-8")] if exit_call.is_json else []
                return Answer(
                    status=exit_call.status,
                    headers=[*kind, *exit_call.headers.items()],
                    body=exit_call.body.encode(),
                )
        return None

    def _forward(self, exchange: Exchange, match: router.Match, proxy_port: int) -> Answer:
        service = match.service
        if service is None:
            return exchange.problem(503, "no Service found with those values", headers={})
        path = paths.encoded_for_upstream(router.upstream_path(match, service)) + (
            f"?{exchange.query}" if exchange.query else ""
        )
        headers = _upstream_headers(exchange, match, service, proxy_port)
        kind = http.client.HTTPSConnection if service["protocol"] == "https" else http.client.HTTPConnection
        host, port = exchange.target or (service["host"], service["port"])
        connection = kind(host, self.moved.get(port, port), timeout=service["read_timeout"] / 1000)
        try:
            connection.putrequest(exchange.method, path, skip_host=True, skip_accept_encoding=True)
            for header, value in headers:
                connection.putheader(header, value.encode("utf-8"))
            connection.endheaders(exchange.body or None)
            response = connection.getresponse()
            headers = [(name, value) for name, value in response.getheaders() if name.lower() not in HOP]
            return Answer(status=response.status, headers=headers, body=response.read())
        except TimeoutError:
            return exchange.problem(504, "The upstream server is timing out", headers={}, from_nginx=True)
        except (OSError, http.client.HTTPException) as problem:
            if "resolution" in str(problem) or "not known" in str(problem):
                return exchange.problem(503, "name resolution failed", headers={})
            return exchange.problem(
                502, "An invalid response was received from the upstream server", headers={}, from_nginx=True
            )
        finally:
            connection.close()

    def _run_response_phases(
        self, answer: Answer, exchange: Exchange, chosen: "_Chosen", *, source: str
    ) -> Answer:
        functions = [
            plugin["config"]
            for name in ("pre-function", "post-function")
            if (plugin := chosen.plugin(name, exchange.consumer))
        ]
        if self.untrusted_lua == "off" and functions:
            raise Hangup
        pdk = Pdk(exchange=exchange, service=chosen.service, answer=answer, source=source)
        for phase in ("header_filter", "body_filter"):
            for config in functions:
                self._function(config[phase], pdk)
        plugin = chosen.plugin("response-transformer", exchange.consumer)
        for line in plugin["config"]["add"]["headers"] if plugin else []:
            name, _, value = line.partition(":")
            if all(header.lower() != name.lower() for header, _ in answer.headers):
                answer.headers.append((name, value))
        return answer


class _Chosen:
    """The plugins that count for a route: of each name the one with the narrowest scope."""

    def __init__(self, plugins: Mapping[str, Entity], match: router.Match | None) -> None:
        self._plugins = [plugin for plugin in plugins.values() if plugin["enabled"]]
        self.service = match.service if match else None
        self._scopes = {
            "route": match.route["id"] if match else None,
            "service": (match.route["service"] or {}).get("id") if match else None,
        }

    def plugin(self, name: str, consumer: Entity | None) -> Entity | None:
        scopes = self._scopes | {"consumer": consumer["id"] if consumer else None}
        fitting = [
            plugin
            for plugin in self._plugins
            if plugin["name"] == name
            and all(plugin[key] is None or plugin[key]["id"] == scopes[key] for key in scopes)
        ]
        weights = {"consumer": 4, "route": 2, "service": 1}
        return max(
            fitting,
            key=lambda plugin: sum(weight for key, weight in weights.items() if plugin[key]),
            default=None,
        )


def _transform(config: Entity, exchange: Exchange) -> None:
    for name in config["remove"]["headers"]:
        exchange.set_header(name, None)
    # Not in the records: adding comes after removing, and only where the header is not there.
    for line in config["add"]["headers"]:
        name, _, value = line.partition(":")
        if not exchange.all_headers(name):
            exchange.set_header(name, value)


def _terminate(config: Entity) -> Answer:
    if config["body"] is not None:
        kind = [("Content-Type", config["content_type"])] if config["content_type"] else []
        return Answer(status=config["status_code"], headers=kind, body=config["body"].encode())
    return Answer.json(config["status_code"], {"message": config["message"] or "Service unavailable"})


def _upstream_headers(
    exchange: Exchange, match: router.Match, service: Entity, proxy_port: int
) -> list[tuple[str, str]]:
    host = (
        service["host"]
        if service["port"] == {"http": 80, "https": 443}[service["protocol"]]
        else f"{service['host']}:{service['port']}"
    )
    before = next(iter(exchange.all_headers("x-forwarded-for")), "")
    own = {
        "Host": exchange.upstream_host
        or (next(iter(exchange.all_headers("host")), "") if match.route["preserve_host"] else host),
        "Connection": "keep-alive",
        "Via": "1.1 kong/3.9.3",
        "X-Forwarded-For": f"{before}, 127.0.0.1" if before else "127.0.0.1",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": exchange.host.rpartition(":")[0] or exchange.host,
        "X-Forwarded-Port": str(proxy_port),
        "X-Forwarded-Path": exchange.raw_path,
        "X-Real-IP": "127.0.0.1",
        "X-Kong-Request-Id": exchange.id,
    }
    if match.route["strip_path"]:
        own["X-Forwarded-Prefix"] = match.matched if len(match.matched) > 1 else ""
    if exchange.body:
        own["Content-Length"] = str(len(exchange.body))
    names = {name.lower() for name in own} | HOP | {"x-forwarded-prefix"}
    passed = [(name, value) for name, value in exchange.headers if name.lower() not in names]
    return [*passed, *((name, value) for name, value in own.items() if value)]
