"""The command that calls a publish from a terminal."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from agent.protocol.spec import Route, Service
from publishes.choices import AuthMode
from publishes.models import ProductPublish
from publishes.reading.detail.snapshot import Snapshot
from publishes.spec import KEY_HEADER


@dataclass(frozen=True, kw_only=True)
class Command:
    """A `curl` line, the agent through whose gateway it goes, and how many more agents serve the publish."""

    line: str
    agent: str
    other_agents: int


def command(snapshot: Snapshot, services: Iterable[Service], *, key: str = "") -> Command | None:
    """Calls the first route through the gateway of an agent that serves; None without such an agent or route.

    `key` is a caller's own; without one the line has a placeholder.
    """
    serving = [
        row for row in snapshot.agents if row.proxy_url and row.is_connected and row.serves(snapshot.publish)
    ]
    routes = [route for service in services for route in service.routes]
    if not serving or not routes:
        return None
    parts = urlsplit(serving[0].proxy_url or "")
    route = next((route for route in routes if _takes_get(route)), routes[0])
    port = f":{parts.port}" if parts.port else ""
    arguments = ["curl"] if _takes_get(route) else ["curl", "-X", route.methods[0]]
    arguments += _credentials(snapshot.publish, key or "YOUR_KEY")
    line = shlex.join([*arguments, f"{parts.scheme}://{snapshot.publish.hostname_base}{port}{route.path}"])
    return Command(line=line, agent=serving[0].name, other_agents=len(serving) - 1)


def _credentials(publish: ProductPublish, key: str) -> list[str]:
    """A key in the publish's own header, or a token that the caller has to fill in."""
    if publish.auth_mode == AuthMode.API_KEY:
        return ["-H", f"{publish.auth_config.get('key_header', KEY_HEADER)}: {key}"]
    return ["-H", "Authorization: Bearer YOUR_TOKEN"] if publish.auth_mode == AuthMode.OAUTH2 else []


def _takes_get(route: Route) -> bool:
    return not route.methods or "GET" in route.methods
