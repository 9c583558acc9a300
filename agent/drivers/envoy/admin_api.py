"""Envoy's admin interface: its version, its state and its workers. Only this module talks to it."""

import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from agent.drivers.base import Unreachable
from fence import split_endpoint

ADMIN_S = 2.0


@dataclass(frozen=True, kw_only=True)
class ServerInfo:
    """What Envoy says of itself, say version "1.40.0", state "LIVE" and 2 workers."""

    version: str
    state: str
    workers: int


class Admin:
    """One Envoy's admin interface. Every method raises Unreachable when it does not answer."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._host, self._port = split_endpoint(endpoint)

    def server(self) -> ServerInfo:
        """What Envoy says of itself."""
        try:
            info = json.loads(self._get("/server_info"))
            return ServerInfo(
                version=str(info["version"]).split("/")[1],
                state=str(info["state"]),
                workers=int(info["command_line_options"]["concurrency"]),
            )
        except (ValueError, KeyError, IndexError, TypeError) as problem:
            raise Unreachable(
                f"What answers at {self._endpoint} is not Envoy's admin interface."
            ) from problem

    def connections(self, listener: str) -> Mapping[int, int]:
        """The open connections of each worker at the listener of this address."""
        prefix = f"listener.{listener}.worker_"
        name = re.compile(re.escape(prefix) + r"(\d+)\.downstream_cx_active: (\d+)")
        lines = self._get(f"/stats?type=Gauges&filter={quote('^' + re.escape(prefix))}").splitlines()
        return {int(match[1]): int(match[2]) for line in lines if (match := name.fullmatch(line))}

    def _get(self, path: str) -> str:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=ADMIN_S)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            text = response.read().decode("utf-8", errors="replace")
        except (OSError, http.client.HTTPException) as problem:
            raise Unreachable(
                f"Envoy's admin interface at {self._endpoint} does not answer "
                f"({problem or type(problem).__name__})."
            ) from problem
        finally:
            connection.close()
        if response.status != 200:
            raise Unreachable(f"Envoy's admin interface at {self._endpoint} answered {response.status}.")
        return text
