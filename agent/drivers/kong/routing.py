"""Specs as Kong entities: services, routes and markers.

Pure functions; only this module knows how our routing is expressed in Kong.
"""

import ipaddress
import json
import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from agent.drivers.base import DEFAULT_PORTS, PinnedSpec, Refused, authority_of, upstream_key
from agent.drivers.kong import auth
from agent.drivers.kong.entities import (
    ADDRESS_TAG,
    HOST_TAG,
    TAG,
    WAVES,
    Entity,
    checksum,
    generation_tag,
    own_id,
    publish_tag,
)
from agent.drivers.problems import NOT_FOUND_BODY, PROBLEM_TYPE, WITHDRAWN_BODY
from agent.drivers.proof import auth_marker_path, marker_path, marker_prefix
from agent.protocol.spec import AuthMode, Route, Service, Spec, State, Upstream

ALL_METHODS = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"]
METHOD = re.compile(r"[A-Z]+")
REST_WAVE, MARKER_WAVE = 4, 5
OTHER_GENERATION = "other_generation"


@dataclass(frozen=True, kw_only=True)
class Options:
    """The operator's choices for all publishes."""

    verify_tls: bool = False


def live_entities(pinned_spec: PinnedSpec, options: Options) -> list[Entity]:
    """All entities of a live spec, services enabled. Raises Refused."""
    spec = pinned_spec.spec
    if not spec.host:
        raise Refused("The spec names no host.", code="invalid", entity="publish", field="host")
    services = [_service(pinned_spec, service, options) for service in spec.services]
    routes = [
        entity
        for service in spec.services
        for route in service.routes
        for entity in _routes(spec, service, route)
    ]
    # Among equal routes Kong takes the largest id, so there is no catch-all beside a service that is one.
    has_root = any(
        route.path == "/" and not route.methods for service in spec.services for route in service.routes
    )
    standing = [
        *services,
        *routes,
        *auth.entities(spec, [service.id for service in services]),
        *_auth_marker(spec),
    ]
    return [
        *standing,
        *_catch_all(spec, 404, NOT_FOUND_BODY, paths=[] if has_root else ["/"]),
        *_other_generations(spec),
    ]


def withdrawn_entities(spec: Spec, current: list[Entity]) -> list[Entity]:
    """410 on every path. Present services stay, switched off; none is created."""
    kept = [
        entity.with_body(enabled=False) if entity.kind == "services" else entity
        for entity in current
        if not is_marker(spec.publish_id, entity)
    ]
    return [*kept, *_catch_all(spec, 410, WITHDRAWN_BODY, paths=["/"]), *_other_generations(spec)]


def marked(spec: Spec, entities: list[Entity]) -> list[Entity]:
    """With the marker, which carries generation, digest and checksum, and is written last."""
    route_id, path = own_id(spec.publish_id, "route:marker"), marker_path(spec)
    tags = [f"imp-digest:{spec.digest}", f"imp-state:{spec.state.value}"]
    status, body, kind = (
        (200, str(spec.generation), "text/plain")
        if spec.state == State.LIVE
        else (410, withdrawn_body(spec.generation), PROBLEM_TYPE)
    )
    route = _route_entity(spec, "marker", paths=[f"~{re.escape(path)}$"], methods=["GET"], wave=MARKER_WAVE)
    answer = _answer(
        spec, "marker", route_id, status=status, body=body, content_type=kind, wave=MARKER_WAVE + 1
    )
    route = route.with_body(tags=[*route.body["tags"], *tags])
    return [
        *entities,
        route.with_body(tags=[*route.body["tags"], f"imp-sum:{checksum([*entities, route, answer])}"]),
        answer,
    ]


def withdrawn_body(generation: int) -> str:
    """The body of a withdrawn publish's marker: the problem of all other paths, and the generation."""
    return json.dumps({**json.loads(WITHDRAWN_BODY), "generation": generation}, ensure_ascii=False)


def other_generation_body(spec: Spec) -> str:
    """The body of all other generations' markers.

    Where a publish asks for credentials it holds the generation: only a worker with its plugins knows that.
    """
    generation = {} if spec.auth.mode == AuthMode.NONE else {"generation": spec.generation}
    return json.dumps(
        {"type": "about:blank", "title": "Not Found", "status": 404, "code": OTHER_GENERATION, **generation}
    )


def marker_ids(publish: UUID) -> frozenset[UUID]:
    """The ids of what stands for the publish itself."""
    names = ("marker", "auth-marker", "rest", "others")
    plugins = ("request-termination", *auth.PLUGINS)
    ids = {own_id(publish, f"route:{name}") for name in names}
    return frozenset(
        ids | {own_id(publish, f"plugin:{plugin}:{route_id}") for plugin in plugins for route_id in ids}
    )


def is_marker(publish: UUID, entity: Entity) -> bool:
    """True for the markers, the catch-all, and their plugins."""
    return entity.id in marker_ids(publish)


def _service(pinned_spec: PinnedSpec, service: Service, options: Options) -> Entity:
    """The Kong service, with checked addresses and no name: Kong would resolve a name again itself."""
    spec, upstream = pinned_spec.spec, service.upstream
    if upstream.scheme not in DEFAULT_PORTS:
        raise Refused(
            f"Upstreams speak http or https, not {upstream.scheme}.",
            code="invalid",
            entity=f"service {service.id}",
            field="scheme",
        )
    base, addresses = upstream.path.rstrip("/"), _addresses(pinned_spec.addresses[upstream_key(upstream)])
    body = {
        "name": f"imp.{spec.publish_id}.{service.id}",
        "protocol": upstream.scheme,
        "host": addresses[0],
        "port": upstream.port,
        # With a slash at its end, / becomes /base/ and not /base, as on other gateways.
        "path": f"{base}/" if base else None,
        "connect_timeout": upstream.connect_timeout_ms,
        "read_timeout": upstream.timeout_ms,
        "write_timeout": upstream.timeout_ms,
        # Kong repeats a request after a time-out too, and a caller would wait for all of them.
        "retries": 0,
        "enabled": True,
        "tls_verify": True if options.verify_tls and upstream.scheme == "https" else None,
        "tags": [*_tags(spec), *_upstream_tags(upstream, addresses)],
    }
    return Entity(
        kind="services",
        id=own_id(spec.publish_id, f"service:{service.id}"),
        body=body,
        wave=WAVES["services"],
    )


def _addresses(pinned: tuple[str, ...]) -> list[str]:
    """The addresses in Kong's spelling: IPv4, or IPv6 where there is nothing else.

    Kong asks for IPv4 alone by default.
    """
    ipv4 = [address for address in pinned if ":" not in address]
    return ipv4 or [f"[{address}]" for address in pinned]


def _upstream_tags(upstream: Upstream, addresses: list[str]) -> list[str]:
    """The tags that tell our Lua the upstream's name and addresses.

    They stand at the service, so that all that is known of an upstream changes in one step.
    """
    name = [] if _is_address(upstream.host) else [f"{HOST_TAG}{authority_of(upstream)}"]
    return name + ([f"{ADDRESS_TAG}{address}" for address in addresses] if len(addresses) > 1 else [])


def _is_address(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return False


def _routes(spec: Spec, service: Service, route: Route) -> list[Entity]:
    """One route, or two.

    Kong counts criteria before it compares paths, so a route with methods would win over a longer one
    without.
    """
    for method in route.methods:
        if not METHOD.fullmatch(method):
            raise Refused(
                f"{method} is not a method that Kong can match.",
                code="invalid",
                entity=f"route {route.id}",
                field="methods",
            )
    if route.path.rstrip("/") and not route.path.startswith("/"):
        raise Refused(
            f"The path {route.path} does not begin with a slash.",
            code="invalid",
            entity=f"route {route.id}",
            field="path",
        )
    below: dict[str, Any] = {
        "service": {"id": str(own_id(spec.publish_id, f"service:{service.id}"))},
        "strip_path": route.strip_path,
    }
    plain = _route_entity(
        spec, str(route.id), paths=_paths(route), methods=sorted(route.methods) or None, **below
    )
    if route.methods or not _is_below_route_with_methods(spec, route):
        return [plain]
    return [
        plain,
        _route_entity(spec, f"{route.id}.methods", paths=_paths(route), methods=ALL_METHODS, **below),
    ]


def _is_below_route_with_methods(spec: Spec, route: Route) -> bool:
    path = route.path.rstrip("/") + "/"
    routes_with_methods = [
        candidate for service in spec.services for candidate in service.routes if candidate.methods
    ]
    return any(
        path.startswith(candidate.path.rstrip("/") + "/") and len(candidate.path.rstrip("/")) < len(path) - 1
        for candidate in routes_with_methods
    )


def _paths(route: Route) -> list[str]:
    """The path itself and every path below it, but not /billings for /billing."""
    path = route.path.rstrip("/")
    return [f"{path}/", f"~{re.escape(path)}$"] if path else ["/"]


def _auth_marker(spec: Spec) -> list[Entity]:
    if spec.auth.mode == AuthMode.NONE:
        return []
    route_id = own_id(spec.publish_id, "route:auth-marker")
    route = _route_entity(
        spec, "auth-marker", paths=[f"~{re.escape(auth_marker_path(spec))}$"], methods=["GET"]
    )
    answer = _answer(
        spec,
        "auth-marker",
        route_id,
        status=200,
        body=str(spec.generation),
        content_type="text/plain",
        wave=WAVES["plugins"],
    )
    # After the services' plugins, so that who meets these meets those too.
    return [route, answer, *auth.guards(spec, "route", route_id, wave=WAVES["plugins"] + 1)]


def _catch_all(spec: Spec, status: int, body: str, *, paths: list[str]) -> list[Entity]:
    """Every path that no service has."""
    marker = f"~{re.escape(marker_prefix(spec))}$"
    route = _route_entity(spec, "rest", paths=[*paths, marker], methods=None, wave=REST_WAVE)
    return [
        route,
        _answer(
            spec, "rest", route.id, status=status, body=body, content_type=PROBLEM_TYPE, wave=REST_WAVE + 1
        ),
    ]


def _other_generations(spec: Spec) -> list[Entity]:
    """The route for the markers of all other generations; it is written first.

    A worker that lags behind answers here, and no upstream hears of the request.
    """
    status, body = (404, other_generation_body(spec)) if spec.state == State.LIVE else (410, WITHDRAWN_BODY)
    route = _route_entity(
        spec,
        "others",
        paths=[f"~{re.escape(marker_prefix(spec))}/"],
        methods=["GET"],
        wave=WAVES["services"],
        priority=0,
    )
    return [
        route,
        _answer(
            spec, "others", route.id, status=status, body=body, content_type=PROBLEM_TYPE, wave=REST_WAVE + 1
        ),
    ]


def _route_entity(
    spec: Spec,
    name: str,
    *,
    paths: list[str],
    methods: list[str] | None,
    wave: int = WAVES["routes"],
    **more: Any,
) -> Entity:
    body = {
        "name": f"imp.{spec.publish_id}.{name}",
        "hosts": [spec.host],
        "paths": paths,
        "methods": methods,
        "protocols": ["http", "https"],
        "strip_path": False,
        "preserve_host": False,
        "regex_priority": more.pop("priority", 1),
        "service": None,
        "tags": _tags(spec),
        **more,
    }
    return Entity(kind="routes", id=own_id(spec.publish_id, f"route:{name}"), body=body, wave=wave)


def _answer(
    spec: Spec, name: str, route_id: UUID, *, status: int, body: str, content_type: str, wave: int
) -> Entity:
    config = {"status_code": status, "content_type": content_type, "body": body}
    assert route_id == own_id(spec.publish_id, f"route:{name}")  # noqa: S101
    return auth.plugin(spec, "request-termination", "route", route_id, config=config, wave=wave)


def _tags(spec: Spec) -> list[str]:
    return [TAG, publish_tag(spec.publish_id), generation_tag(spec.generation)]
