"""Envoy's admin interface: the versions in force, and Envoy's own. Only this module talks to it."""

import http.client
import json
import re
import time
from enum import StrEnum

from agent.drivers.base import Unreachable
from agent.drivers.envoy.auth import TOKEN
from agent.drivers.envoy.files import ROUTES_NAME, STAT_PREFIX
from fence import split_endpoint

ADMIN_S = 2.0
TAKE_S = 4.0
POLL_S = 0.002
REFUSAL_LOOK_S = 0.2


class Kind(StrEnum):
    """The discovery services that we use; the values are the prefixes of their stats."""

    TOKENS = f"extension_config_discovery.http_filter.{TOKEN}"
    CLUSTERS = "cluster_manager.cds"
    ROUTES = f"http.{STAT_PREFIX}.rds.{ROUTES_NAME}"
    LISTENER = "listener_manager.lds"


class Admin:
    """One Envoy's admin interface. Every method raises Unreachable when it does not answer."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._host, self._port = split_endpoint(endpoint)
        self._refused: dict[Kind, int] = {}

    def taken(self) -> dict[Kind, str]:
        """The version in force of each kind ("" before the first).

        Asks for text readouts alone: a walk over all counters takes time with many clusters.
        """
        stats = self._stats("version_text$", "TextReadouts")
        return {kind: stats.get(f"{kind.value}.version_text", "").strip('"') for kind in Kind}

    def wait_for(self, kind: Kind, version: str) -> None:
        """Return once Envoy has taken this version. Raises Unreachable when it refuses or takes too long."""
        started, looks = time.monotonic(), 0
        while (waited := time.monotonic() - started) < TAKE_S:
            if self.taken()[kind] == version:
                return
            if waited > REFUSAL_LOOK_S * (looks + 1):
                looks += 1
                if self._is_refused(kind):
                    raise Unreachable(
                        f"Envoy rejected the update of {kind.value} although it had passed validation.",
                        code="update_rejected",
                    )
            time.sleep(POLL_S)
        raise Unreachable(
            f"Envoy did not take the update of {kind.value} within {TAKE_S:.0f} s.", code="update_not_taken"
        )

    def virtual_hosts(self) -> list[str]:
        """The names of the virtual hosts that Envoy serves.

        Expensive with many hosts: only for when the files do not tell.
        """
        try:
            configs = json.loads(self._get("/config_dump?resource=dynamic_route_configs")).get("configs", [])
            return [
                str(host["name"])
                for config in configs
                for host in config["route_config"].get("virtual_hosts", [])
            ]
        except (ValueError, KeyError, AttributeError, TypeError) as problem:
            raise Unreachable(
                f"What answers at {self._endpoint} is not Envoy's admin interface."
            ) from problem

    def server(self) -> tuple[str, str]:
        """Version and state, say ("1.40.0", "LIVE")."""
        try:
            info = json.loads(self._get("/server_info"))
            return str(info["version"]).split("/")[1], str(info["state"])
        except (ValueError, KeyError, IndexError, TypeError) as problem:
            raise Unreachable(
                f"What answers at {self._endpoint} is not Envoy's admin interface."
            ) from problem

    def _is_refused(self, kind: Kind) -> bool:
        """Whether Envoy has refused an update since the last look."""
        name = f"{kind.value}.update_rejected"
        refused = int(self._stats(f"^{re.escape(name)}$", "Counters").get(name, "0"))
        is_new = refused > self._refused.get(kind, 0)
        self._refused[kind] = refused
        return is_new

    def _stats(self, names: str, kind: str) -> dict[str, str]:
        lines = self._get(f"/stats?filter={names}&type={kind}").splitlines()
        return dict(line.split(": ", 1) for line in lines if ": " in line)

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
