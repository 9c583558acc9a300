"""The file that Envoy is started with: its admin interface, its limits, and where it asks for all else.

Only this module knows the folder's layout.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from agent.drivers.envoy.messages import EXTENSIONS, FROM_AGENT, Resource, socket_address
from agent.files import write_durably

SOCKET_PATH_BYTES = 107
"""The longest path of a Unix socket on Linux."""

_AGENT = "imp-agent"


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
    def resources(self) -> Path:
        """The database of what Envoy took."""
        return self.root / "resources.sqlite3"

    @property
    def discovery(self) -> Path:
        """The socket at which Envoy asks the agent."""
        return self.root / "xds.sock"

    @property
    def proof(self) -> Path:
        """The socket at which the agent asks Envoy's workers."""
        return self.root / "proof.sock"


def has_room_for_sockets(folder: Folder) -> bool:
    """Whether the folder's path is short enough."""
    return all(len(bytes(socket)) <= SOCKET_PATH_BYTES for socket in (folder.discovery, folder.proof))


def is_written(folder: Folder, site: Site) -> bool:
    """Whether the file is as `write` would leave it."""
    try:
        return folder.bootstrap.read_text(encoding="utf-8") == _text(folder, site)
    except (OSError, ValueError):
        return False


def write(folder: Folder, site: Site) -> bool:
    """Write the file where it is missing or differs; whether that was so. Raises OSError.

    Envoy reads it at its next start.
    """
    if is_written(folder, site):
        return False
    folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_durably(folder.bootstrap, _text(folder, site))
    return True


def _text(folder: Folder, site: Site) -> str:
    limit = {
        "@type": f"{EXTENSIONS}.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        "max_active_downstream_connections": site.max_connections,
    }
    content = {
        "node": {"id": site.node, "cluster": "imp-gateway"},
        # The agent has to get in when callers have taken all connections.
        "admin": {"address": socket_address(site.admin), "ignore_global_conn_limit": True},
        "overload_manager": {
            "resource_monitors": [
                {"name": "envoy.resource_monitors.global_downstream_max_connections", "typed_config": limit}
            ]
        },
        "dynamic_resources": {
            "ads_config": _ads(),
            "lds_config": FROM_AGENT,
            "cds_config": FROM_AGENT,
        },
        "static_resources": {"clusters": [_agent(folder)]},
    }
    return json.dumps(content, indent=1) + "\n"


def _ads() -> Resource:
    # An agent that was started again is found within a second.
    pauses = {"base_interval": "0.05s", "max_interval": "0.5s"}
    service = {"envoy_grpc": {"cluster_name": _AGENT, "retry_policy": {"retry_back_off": pauses}}}
    return {"api_type": "DELTA_GRPC", "transport_api_version": "V3", "grpc_services": [service]}


def _agent(folder: Folder) -> Resource:
    http2 = {
        "@type": f"{EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    endpoint = {"endpoint": {"address": {"pipe": {"path": str(folder.discovery)}}}}
    return {
        "name": _AGENT,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
        "load_assignment": {"cluster_name": _AGENT, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
