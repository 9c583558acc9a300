"""The version and abilities of a Kong, asked of the node itself before anything is changed."""

import re
from dataclasses import dataclass
from typing import Any

from agent.drivers.base import Refused, Unreachable
from agent.drivers.kong.admin_api import Admin
from agent.drivers.kong.auth import NEEDED
from agent.protocol.spec import Spec, State

FLAVOR = "traditional_compatible"
"""Kong's default. Others weigh regex paths beside plain ones differently."""

MARGIN_S = 1.0
"""For what Kong's own timers leave out: asking the database, building anew, and telling all workers."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node's own description."""

    id: str
    version: str
    database: str
    plugins: frozenset[str]
    has_lua: bool
    router_flavor: str
    propagation_s: float
    """Seconds for which another node may serve the old state after a write; 0 without a database."""

    @property
    def is_dbless(self) -> bool:
        return self.database == "off"

    @property
    def mode(self) -> str:
        """For people."""
        return "DB-less" if self.is_dbless else f"DB ({self.database})"


def read_node(admin: Admin) -> Node:
    """Ask the node. Raises Unreachable, also for a Kong that the driver cannot work with."""
    root = admin.get("/")
    try:
        configuration, plugins = root["configuration"], root["plugins"]["available_on_server"]
        node = Node(
            id=str(root["node_id"]),
            version=str(root["version"]),
            database=str(configuration["database"]),
            plugins=frozenset(plugins),
            has_lua=configuration.get("untrusted_lua", "sandbox") != "off",
            router_flavor=str(configuration.get("router_flavor", FLAVOR)),
            propagation_s=_propagation_s(configuration),
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise Unreachable(
            f"What answers at {admin.url} is not Kong's Admin API.", code="not_kong"
        ) from problem
    _check(node, configuration)
    return node


def check(node: Node, spec: Spec) -> None:
    """Raise Refused when the node cannot do all that a spec asks for: no spec is served in part."""
    needed = NEEDED[spec.auth.mode] if spec.state == State.LIVE else ("request-termination",)
    missing = [name for name in needed if name not in node.plugins]
    if missing:
        message = (
            f"This Kong lacks the plugin {missing[0]}, which auth mode {spec.auth.mode} needs. "
            "The operator has to enable it."
        )
        raise Refused(message, code="plugin_missing", entity=f"plugin {missing[0]}", field="name")
    if "post-function" in needed and not node.has_lua:
        message = (
            "This Kong runs no Lua of plugins (untrusted_lua = off), so it can neither hold upstreams "
            "to their checked addresses nor check callers."
        )
        raise Refused(message, code="lua_off", entity="plugin post-function", field="name")


def _propagation_s(configuration: dict[str, Any]) -> float:
    """Seconds until every other node serves a write.

    A node polls for events, which may be held back, and its workers rebuild by a timer unless they do at each
    request.
    """
    if configuration["database"] == "off":
        return 0.0
    polled_s = float(configuration.get("db_update_frequency", 5)) + float(
        configuration.get("db_update_propagation", 0)
    )
    is_strict = configuration.get("worker_consistency") == "strict"
    return (
        polled_s
        + (0.0 if is_strict else float(configuration.get("worker_state_update_frequency", 5)))
        + MARGIN_S
    )


def _check(node: Node, configuration: dict[str, Any]) -> None:
    major = re.match(r"(\d+)\.", node.version)
    if not major or int(major.group(1)) < 3:
        raise Unreachable(
            f"This is Kong {node.version}; the driver needs 3.0 or newer.", code="version_unsuitable"
        )
    if node.router_flavor != FLAVOR:
        raise Unreachable(
            f"This Kong routes by {node.router_flavor}; the driver needs router_flavor {FLAVOR}.",
            code="router_unsuitable",
        )
    if configuration.get("role") in {"data_plane", "control_plane"}:
        raise Unreachable(
            f"This Kong is a {configuration['role']} of a hybrid deployment. "
            "The driver needs a traditional node.",
            code="role_unsuitable",
        )
