"""Envoy's files in the state folder: bootstrap, listener, routes, clusters, token filter. The only module that knows their layout."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.drivers import envoy_auth
from agent.drivers.envoy_config import Resource, version_of
from agent.files import FileDamaged, read_object, write_durably
from fence import split_endpoint

STAT_PREFIX = "imp"
ROUTES_NAME = "imp"
_TYPE = "type.googleapis.com/envoy.config"
_HTTP = "type.googleapis.com/envoy.extensions.filters"


@dataclass(frozen=True, kw_only=True)
class Document:
    """One xDS file: its resources and the version it says. `intact` is False when the content is not what that version stood for."""

    resources: tuple[Resource, ...]
    version: str
    intact: bool

    @classmethod
    def of(cls, resources: list[Resource]) -> "Document":
        """A new document. Its version is the content's hash and a serial, so that Envoy's word for it can mean no earlier file."""
        return cls(resources=tuple(resources), version=f"{version_of(resources)}.{time.time_ns():x}", intact=True)

    @classmethod
    def read(cls, path: Path) -> "Document":
        """A file as it stands; a damaged one reads as empty and not intact, so that it is written anew."""
        try:
            content = read_object(path)
        except FileDamaged:
            content = {}
        resources, version = tuple(_objects(content.get("resources"))), str(content.get("version_info", ""))
        return cls(resources=resources, version=version, intact=version.partition(".")[0] == version_of(resources))

    def says_the_same_as(self, other: "Document") -> bool:
        """True when both would make Envoy the same, whichever versions they say."""
        return self.intact and other.intact and self.version.partition(".")[0] == other.version.partition(".")[0]

    def is_older_than(self, version: str) -> bool:
        """True when that version was made after this document, as when the file was restored from a backup."""
        return _serial(self.version) < _serial(version)

    def save(self, path: Path) -> None:
        """Replace the file; Envoy reads it at the rename. Kept from other users: it carries keys."""
        text = json.dumps({"version_info": self.version, "resources": self.resources}, ensure_ascii=False)
        write_durably(path, text + "\n", mode=0o600)


@dataclass(frozen=True, kw_only=True)
class Folder:
    """The absolute paths of one Envoy's files."""

    root: Path

    @property
    def bootstrap(self) -> Path:
        """What `envoy -c` is started with."""
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


def prepare(folder: Folder, *, node: str, proxy: str, admin: str) -> None:
    """Write what Envoy needs to start. Routes and clusters that are there stay, so that a new enrolment ends no traffic."""
    folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_durably(folder.bootstrap, json.dumps(_bootstrap(folder, node, admin), indent=1) + "\n")
    refresh_listener(folder, proxy)
    if not folder.clusters.exists():
        Document.of([]).save(folder.clusters)
    if not folder.routes.exists():
        Document.of([route_configuration([])]).save(folder.routes)


def refresh_listener(folder: Folder, proxy: str) -> None:
    """Bring the listener to what this version of the agent wants; Envoy takes it over when it differs."""
    if not folder.tokens.exists():
        Document.of([token_filter({})]).save(folder.tokens)
    routes: Resource = {"rds": {"route_config_name": ROUTES_NAME, "config_source": _source(folder.routes)}}
    tokens: Resource = {"config_discovery": {"config_source": _source(folder.tokens), "type_urls": [envoy_auth.TOKEN_TYPE]}}
    wanted = Document.of([listener(proxy, routes=routes, tokens=tokens)])
    if not wanted.says_the_same_as(Document.read(folder.listeners)):
        wanted.save(folder.listeners)


def virtual_hosts(routes: Document) -> list[Resource]:
    """The virtual hosts in the route file."""
    return [host for resource in routes.resources for host in _objects(resource.get("virtual_hosts"))]


def route_configuration(hosts: list[Resource]) -> Resource:
    """The one route configuration, holding a virtual host per publish."""
    return {"@type": f"{_TYPE}.route.v3.RouteConfiguration", "name": ROUTES_NAME, "virtual_hosts": hosts}


def token_filter(providers: Mapping[str, Resource]) -> Resource:
    """The filter that checks tokens as a discovery resource."""
    return {"@type": f"{_TYPE}.core.v3.TypedExtensionConfig", "name": envoy_auth.TOKEN, "typed_config": envoy_auth.token_filter(providers)}


def providers(tokens: Document) -> dict[str, Resource]:
    """The issuers in the token filter's file."""
    configs = _objects([resource.get("typed_config") for resource in tokens.resources])
    return {name: provider for config in configs if isinstance(listed := config.get("providers"), dict) for name, provider in listed.items()}


def typed_cluster(cluster: Resource) -> Resource:
    """A cluster as a discovery resource."""
    return {"@type": f"{_TYPE}.cluster.v3.Cluster", **cluster}


def untyped(resource: Resource) -> Resource:
    """A discovery resource as it stands in a static configuration."""
    return {key: value for key, value in resource.items() if key != "@type"}


def listener(proxy: str, *, routes: Resource, tokens: Resource) -> Resource:
    """The one HTTP listener. `routes` names where they come from (`rds`), or is them (`route_config`); `tokens` as in `envoy_auth.filters`."""
    manager = {
        "@type": f"{_HTTP}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": STAT_PREFIX,
        **routes,
        # An edge proxy: own the forwarding headers, and match routes on the path that the upstream will understand.
        "use_remote_address": True,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD",
        "strip_trailing_host_dot": True,
        "request_headers_timeout": "10s",
        "http_protocol_options": {"accept_http_10": True},
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "http_filters": envoy_auth.filters(tokens),
        "local_reply_config": envoy_auth.local_replies(),
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {"@type": f"{_TYPE}.listener.v3.Listener", "name": "imp-http", "address": _address(proxy), "filter_chains": [chain]}


def _bootstrap(folder: Folder, node: str, admin: str) -> Resource:
    return {
        "node": {"id": node, "cluster": "imp-gateway"},
        "admin": {"address": _address(admin)},
        "dynamic_resources": {"lds_config": _source(folder.listeners), "cds_config": _source(folder.clusters)},
    }


def _source(path: Path) -> Resource:
    # The path alone: Envoy watches it for renames, and is not woken by those of the files beside it.
    return {"resource_api_version": "V3", "path_config_source": {"path": str(path)}}


def _address(endpoint: str) -> Resource:
    host, port = split_endpoint(endpoint)
    return {"socket_address": {"address": host, "port_value": port}}


def _serial(version: str) -> int:
    """When a version was made; 0 for one that is not ours."""
    try:
        return int(version.partition(".")[2], 16)
    except ValueError:
        return 0


def _objects(value: object) -> list[Resource]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
