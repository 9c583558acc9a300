"""Specs as Envoy resources.

Pure functions, no files and no network. Only this module knows Envoy's route and cluster shapes.
"""

import hashlib
import re
from pathlib import Path

from agent.drivers.base import DEFAULT_PORTS, PinnedSpec, Refused, authority_of, upstream_key
from agent.drivers.envoy import auth
from agent.drivers.envoy.listeners import AUTH, SCOPE_HEADER, asked_of_callers
from agent.drivers.envoy.messages import EXTENSIONS, Resource
from agent.drivers.problems import NOT_FOUND_BODY, PROBLEM_TYPE, WITHDRAWN_BODY
from agent.drivers.proof import GENERATION_HEADER, auth_marker_path, marker_path, marker_prefix
from agent.protocol.spec import AuthMode, Route, Service, Spec, State, Upstream

CA_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
METHOD = re.compile(r"[A-Z][A-Z0-9-]*")


def scope(pinned_spec: PinnedSpec) -> Resource | None:
    """The routes of one publish under its host, None for an absent one. Raises Refused.

    One resource holds all that decides who is served: Envoy takes it in one step.
    """
    spec = pinned_spec.spec
    if spec.state == State.ABSENT:
        return None
    if not spec.host:
        raise Refused("The spec names no host.", code="invalid", entity="publish", field="host")
    name = f"imp:{spec.publish_id}"
    routes = {
        "name": name,
        "virtual_hosts": [{"name": name, "domains": ["*"], **_virtual_host(pinned_spec)}],
        "request_headers_to_remove": [SCOPE_HEADER],
    }
    # Envoy looks a host up in small letters.
    key = {"fragments": [{"string_key": spec.host.lower()}]}
    return {"name": name, "key": key, "route_configuration": routes}


def clusters(pinned_spec: PinnedSpec) -> list[Resource]:
    """The clusters of one publish's services, at pinned addresses. Raises Refused."""
    spec = pinned_spec.spec
    return [_cluster(pinned_spec, service) for service in spec.services if spec.state == State.LIVE]


def _virtual_host(pinned_spec: PinnedSpec) -> Resource:
    spec = pinned_spec.spec
    if spec.state == State.WITHDRAWN:
        return {"routes": [_withdrawn_route(spec)]}
    host: Resource = {"routes": _live_routes(pinned_spec)}
    if filters := auth.filters(spec):
        host |= {
            "typed_per_filter_config": {AUTH: asked_of_callers(filters)},
            "metadata": auth.metadata(spec),
        }
    return host


def _live_routes(pinned_spec: PinnedSpec) -> list[Resource]:
    spec = pinned_spec.spec
    pairs = [(route, service) for service in spec.services for route in service.routes]
    pairs.sort(key=lambda pair: (-len(_plain_path(pair[0])), not pair[0].methods, str(pair[0].id)))
    forwarding = [_forward(pinned_spec, service, route) for route, service in pairs]
    return [*_markers(spec), *forwarding, _problem({"prefix": "/"}, 404, NOT_FOUND_BODY)]


def _markers(spec: Spec) -> list[Resource]:
    is_open = spec.auth.mode == AuthMode.NONE
    open_to_all: Resource = {} if is_open else {"typed_per_filter_config": {AUTH: asked_of_callers([])}}
    marker, closed = (_marker(path, spec) for path in (marker_path(spec), auth_marker_path(spec)))
    # Another generation's marker answers with this generation, so that a lagging worker of the gateway shows.
    other_generations = _problem(
        {"path_separated_prefix": marker_prefix(spec)}, 404, NOT_FOUND_BODY, generation=spec.generation
    )
    return [
        marker | open_to_all,
        *([] if is_open else [closed]),
        other_generations | open_to_all,
    ]


def _marker(path: str, spec: Spec) -> Resource:
    return _direct({"path": path}, 200, str(spec.generation), {GENERATION_HEADER: str(spec.generation)})


def _withdrawn_route(spec: Spec) -> Resource:
    # HTTP lets caches keep a 410, and a publish may be published again.
    return _problem(
        {"prefix": "/"}, 410, WITHDRAWN_BODY, generation=spec.generation, cache_control="no-store"
    )


def _problem(
    match: Resource, status: int, body: str, *, generation: int | None = None, cache_control: str = ""
) -> Resource:
    headers = {"content-type": PROBLEM_TYPE}
    if cache_control:
        headers["cache-control"] = cache_control
    if generation is not None:
        headers[GENERATION_HEADER] = str(generation)
    return _direct(match, status, body, headers)


def _direct(match: Resource, status: int, body: str, headers: dict[str, str]) -> Resource:
    # Overwrite, because Envoy gives each direct response a content-type of its own.
    added = [
        {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for key, value in headers.items()
    ]
    return {
        "match": match,
        "direct_response": {"status": status, "body": {"inline_string": body}},
        "response_headers_to_add": added,
    }


def _forward(pinned_spec: PinnedSpec, service: Service, route: Route) -> Resource:
    action: Resource = {
        "cluster": _cluster_name(pinned_spec, service),
        "timeout": _seconds(service.upstream.timeout_ms),
        "host_rewrite_literal": authority_of(service.upstream),
        "append_x_forwarded_host": True,
        # Only what certainly never reached the upstream is sent again.
        "retry_policy": {"retry_on": "connect-failure,refused-stream,reset-before-request", "num_retries": 1},
        **_rewrite(service.upstream, route),
    }
    return {"match": _match(route), "route": action}


def _match(route: Route) -> Resource:
    path = _plain_path(route)
    match: Resource = {"path_separated_prefix": path} if path else {"prefix": "/"}
    for method in route.methods:
        if not METHOD.fullmatch(method):
            raise Refused(
                f"{method} is not an HTTP method.",
                code="invalid",
                entity=f"route {route.id}",
                field="methods",
            )
    if route.methods:
        string_match = {"safe_regex": {"regex": "|".join(sorted(route.methods))}}
        match["headers"] = [{"name": ":method", "string_match": string_match}]
    return match


def _rewrite(upstream: Upstream, route: Route) -> Resource:
    """The path for the upstream, below the upstream's own path.

    When the path is stripped, /billing/x becomes /x and /billing becomes /.
    """
    path, base = _plain_path(route), upstream.path.rstrip("/")
    if path == "":
        return {"prefix_rewrite": f"{base}/"} if base else {}
    if not route.strip_path:
        return {"prefix_rewrite": base + path} if base else {}
    if base:
        return {"prefix_rewrite": base}
    # Not prefix_rewrite "/": that would make //x of /billing/x.
    return {"regex_rewrite": {"pattern": {"regex": f"^{re.escape(path)}/?"}, "substitution": "/"}}


def _plain_path(route: Route) -> str:
    """The route's path without a slash at its end; "" is the root."""
    if not route.path.startswith("/"):
        raise Refused(
            f"The path {route.path} does not begin with a slash.",
            code="invalid",
            entity=f"route {route.id}",
            field="path",
        )
    return route.path.rstrip("/")


def _cluster(pinned_spec: PinnedSpec, service: Service) -> Resource:
    upstream = service.upstream
    if upstream.scheme not in DEFAULT_PORTS:
        raise Refused(
            f"Upstreams speak http or https, not {upstream.scheme}.",
            code="invalid",
            entity=f"service {service.id}",
            field="scheme",
        )
    endpoints = [
        {"endpoint": {"address": {"socket_address": {"address": address, "port_value": upstream.port}}}}
        for address in pinned_spec.addresses[upstream_key(upstream)]
    ]
    name = _cluster_name(pinned_spec, service)
    cluster: Resource = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": _seconds(upstream.connect_timeout_ms),
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
    }
    return cluster | ({"transport_socket": _tls(service)} if upstream.scheme == "https" else {})


def _cluster_name(pinned_spec: PinnedSpec, service: Service) -> str:
    """The cluster's name, made of its content.

    A changed upstream is a new cluster, so that routes and cluster change in one step.
    """
    upstream = service.upstream
    content = f"{upstream.model_dump_json()} {sorted(pinned_spec.addresses[upstream_key(upstream)])}"
    return f"imp:{pinned_spec.publish_id}:{service.id}:{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _tls(service: Service) -> Resource:
    host = service.upstream.host
    authorities = next((path for path in CA_FILES if Path(path).exists()), None)
    if authorities is None:
        message = (
            f"No certificate authorities are installed beside this gateway, so the certificate of {host} "
            "cannot be checked. Install ca-certificates."
        )
        raise Refused(
            message, code="no_certificate_authorities", entity=f"service {service.id}", field="scheme"
        )
    is_address = bool(re.fullmatch(r"[0-9.]+|.*:.*", host))
    name = {"san_type": "IP_ADDRESS" if is_address else "DNS", "matcher": {"exact": host}}
    validation = {"trusted_ca": {"filename": authorities}, "match_typed_subject_alt_names": [name]}
    context: Resource = {
        "@type": f"{EXTENSIONS}.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {"validation_context": validation},
    }
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": context | ({} if is_address else {"sni": host}),
    }


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.3f}s"
