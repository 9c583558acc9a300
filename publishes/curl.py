"""The command that calls a publish from a terminal."""

import shlex
from collections.abc import Iterable
from urllib.parse import urlsplit

from agent.protocol.spec import Route, Service
from publishes.choices import AuthMode
from publishes.models import ProductPublish
from publishes.selectors import Live
from publishes.spec import KEY_HEADER


def command(live: Live, services: Iterable[Service]) -> str:
    """A `curl` line for the first route, through the gateway of an agent that serves; empty when there is none."""
    proxies = [row.proxy_url for row in live.agents if row.proxy_url and row.is_connected and row.serves(live.publish)]
    routes = [route for service in services for route in service.routes]
    if not proxies or not routes:
        return ""
    parts = urlsplit(proxies[0])
    route = next((route for route in routes if _takes_get(route)), routes[0])
    port = f":{parts.port}" if parts.port else ""
    words = ["curl"] if _takes_get(route) else ["curl", "-X", route.methods[0]]
    words += _credentials(live.publish)
    return shlex.join([*words, f"{parts.scheme}://{live.publish.hostname_base}{port}{route.path}"])


def _credentials(publish: ProductPublish) -> list[str]:
    """What the caller has to fill in: a key in the publish's own header, or a token."""
    if publish.auth_mode == AuthMode.API_KEY:
        return ["-H", f"{publish.auth_config.get('key_header', KEY_HEADER)}: YOUR_KEY"]
    return ["-H", "Authorization: Bearer YOUR_TOKEN"] if publish.auth_mode == AuthMode.OAUTH2 else []


def _takes_get(route: Route) -> bool:
    return not route.methods or "GET" in route.methods
