"""Specs as Kong entities: services and routes, with the markers beside them.

Pure functions; only this module knows how our routing is expressed in Kong.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Any

from agent.drivers.base import DEFAULT_PORTS, PinnedSpec, Refused, authority_of, upstream_key
from agent.drivers.kong import auth, markers
from agent.drivers.kong.entities import ADDRESS_TAG, HOST_TAG, WAVES, Entity, own_id
from agent.drivers.kong.parts import route_entity, tags_of
from agent.drivers.problems import NOT_FOUND_BODY, WITHDRAWN_BODY
from agent.protocol.spec import Route, Service, Spec, Upstream

ALL_METHODS = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"]
METHOD = re.compile(r"[A-Z]+")


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
        *markers.auth_marker(spec),
    ]
    return [
        *standing,
        *markers.catch_all(spec, 404, NOT_FOUND_BODY, paths=[] if has_root else ["/"]),
        *markers.other_generations(spec),
    ]


def withdrawn_entities(spec: Spec, current: list[Entity]) -> list[Entity]:
    """410 on every path. Present services stay, switched off; none is created."""
    present = [
        entity.with_body(enabled=False) if entity.kind == "services" else entity
        for entity in current
        if not markers.is_marker(spec.publish_id, entity)
    ]
    return [
        *present,
        *markers.catch_all(spec, 410, WITHDRAWN_BODY, paths=["/"]),
        *markers.other_generations(spec),
    ]


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
        "tags": [*tags_of(spec), *_upstream_tags(upstream, addresses)],
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
    service_keys: dict[str, Any] = {
        "service": {"id": str(own_id(spec.publish_id, f"service:{service.id}"))},
        "strip_path": route.strip_path,
    }
    plain = route_entity(
        spec, str(route.id), paths=_paths(route), methods=sorted(route.methods) or None, **service_keys
    )
    if route.methods or not _is_below_route_with_methods(spec, route):
        return [plain]
    return [
        plain,
        route_entity(spec, f"{route.id}.methods", paths=_paths(route), methods=ALL_METHODS, **service_keys),
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
