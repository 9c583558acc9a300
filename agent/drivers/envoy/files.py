"""Envoy's files in the state folder: bootstrap, listener, routes, clusters, token filter.

Only this module knows their layout.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.drivers.envoy import auth
from agent.drivers.envoy.documents import Document, objects
from agent.drivers.envoy.local_replies import local_replies
from agent.drivers.envoy.resources import Resource
from agent.files import write_durably
from fence import split_endpoint

STAT_PREFIX = "imp"
ROUTES_NAME = "imp"
_TYPE = "type.googleapis.com/envoy.config"
_HTTP = "type.googleapis.com/envoy.extensions.filters"
_MONITORS = "type.googleapis.com/envoy.extensions.resource_monitors"


@dataclass(frozen=True, kw_only=True)
class Site:
    """The owner of an Envoy, and its ports for callers and for the agent."""

    node: str
    proxy: str
    admin: str
    max_connections: int


@dataclass(frozen=True, kw_only=True)
class Folder:
    """The absolute paths of one Envoy's files."""

    root: Path

    @property
    def bootstrap(self) -> Path:
        """The file that `envoy -c` is started with."""
        return self.root / "bootstrap.json"

    @property
    def listeners(self) -> Path:
        """The listener discovery file."""
        return self.root / "lds.json"

    @property
    def clusters(self) -> Path:
        """The cluster discovery file."""
        return self.root / "cds.json"

    @property
    def routes(self) -> Path:
        """The route discovery file."""
        return self.root / "rds.json"

    @property
    def tokens(self) -> Path:
        """The discovery file of the filter that checks tokens."""
        return self.root / "ecds.json"


def prepare(folder: Folder, site: Site) -> None:
    """Write what Envoy needs to start. Raises OSError.

    Existing routes and clusters stay, so that a new enrolment ends no traffic.
    """
    folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    refresh(folder, site)
    if not folder.clusters.exists():
        Document.of([]).save(folder.clusters)
    if not folder.routes.exists():
        Document.of([route_configuration([])]).save(folder.routes)


def refresh(folder: Folder, site: Site) -> list[str]:
    """Bring bootstrap and listener to this version's content; the names of the files written. Raises OSError.

    Envoy takes the listener over at once, and reads the bootstrap at its next start.
    """
    if not folder.tokens.exists():
        Document.of([token_filter({})]).save(folder.tokens)
    bootstrap, wanted = _bootstrap_text(folder, site), _listener_document(folder, site)
    written = []
    if _text_of(folder.bootstrap) != bootstrap:
        write_durably(folder.bootstrap, bootstrap)
        written.append(folder.bootstrap.name)
    if not wanted.says_the_same_as(Document.read(folder.listeners)):
        wanted.save(folder.listeners)
        written.append(folder.listeners.name)
    return written


def is_refreshed(folder: Folder, site: Site) -> bool:
    """Whether bootstrap and listener are as `refresh` would leave them."""
    is_listener_right = _listener_document(folder, site).says_the_same_as(Document.read(folder.listeners))
    return is_listener_right and _text_of(folder.bootstrap) == _bootstrap_text(folder, site)


def virtual_hosts(routes: Document) -> list[Resource]:
    """The virtual hosts in the route file."""
    return [host for resource in routes.resources for host in objects(resource.get("virtual_hosts"))]


def route_configuration(hosts: list[Resource]) -> Resource:
    """The one route configuration, holding a virtual host per publish."""
    return {"@type": f"{_TYPE}.route.v3.RouteConfiguration", "name": ROUTES_NAME, "virtual_hosts": hosts}


def token_filter(providers: Mapping[str, Resource]) -> Resource:
    """The filter that checks tokens as a discovery resource."""
    return {
        "@type": f"{_TYPE}.core.v3.TypedExtensionConfig",
        "name": auth.TOKEN,
        "typed_config": auth.token_filter(providers),
    }


def providers(tokens: Document) -> dict[str, Resource]:
    """The issuers in the token filter's file."""
    providers: dict[str, Resource] = {}
    for config in objects([resource.get("typed_config") for resource in tokens.resources]):
        if isinstance(listed := config.get("providers"), dict):
            providers |= listed
    return providers


def typed_cluster(cluster: Resource) -> Resource:
    """A cluster as a discovery resource."""
    return {"@type": f"{_TYPE}.cluster.v3.Cluster", **cluster}


def untyped(resource: Resource) -> Resource:
    """A discovery resource as it stands in a static configuration."""
    return {key: value for key, value in resource.items() if key != "@type"}


def listener(proxy: str, *, routes: Resource, tokens: Resource) -> Resource:
    """The one HTTP listener.

    `routes` names where the routes come from (`rds`), or holds them (`route_config`); `tokens` is as in
    `auth.filters`.
    """
    manager = {
        "@type": f"{_HTTP}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": STAT_PREFIX,
        **routes,
        # An edge proxy: own the forwarding headers, and match routes on the path as the upstream understands
        # it.
        "use_remote_address": True,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD",
        "strip_trailing_host_dot": True,
        "request_headers_timeout": "10s",
        "http_protocol_options": {"accept_http_10": True},
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "http_filters": auth.filters(tokens),
        "local_reply_config": local_replies(),
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {
        "@type": f"{_TYPE}.listener.v3.Listener",
        "name": "imp-http",
        "address": _address(proxy),
        "filter_chains": [chain],
    }


def _listener_document(folder: Folder, site: Site) -> Document:
    routes: Resource = {"rds": {"route_config_name": ROUTES_NAME, "config_source": _source(folder.routes)}}
    tokens: Resource = {
        "config_discovery": {"config_source": _source(folder.tokens), "type_urls": [auth.TOKEN_TYPE]}
    }
    return Document.of([listener(site.proxy, routes=routes, tokens=tokens)])


def _bootstrap_text(folder: Folder, site: Site) -> str:
    limit = {
        "@type": f"{_MONITORS}.downstream_connections.v3.DownstreamConnectionsConfig",
        "max_active_downstream_connections": site.max_connections,
    }
    content = {
        "node": {"id": site.node, "cluster": "imp-gateway"},
        # The agent has to get in when callers have taken all connections.
        "admin": {"address": _address(site.admin), "ignore_global_conn_limit": True},
        "overload_manager": {
            "resource_monitors": [
                {"name": "envoy.resource_monitors.global_downstream_max_connections", "typed_config": limit}
            ]
        },
        "dynamic_resources": {
            "lds_config": _source(folder.listeners),
            "cds_config": _source(folder.clusters),
        },
    }
    return json.dumps(content, indent=1) + "\n"


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def _source(path: Path) -> Resource:
    # The path alone: Envoy watches it for renames, and is not woken by those of the files beside it.
    return {"resource_api_version": "V3", "path_config_source": {"path": str(path)}}


def _address(endpoint: str) -> Resource:
    host, port = split_endpoint(endpoint)
    return {"socket_address": {"address": host, "port_value": port}}
