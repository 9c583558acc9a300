"""The places of one run: the ports, the settings of the control plane, and each agent's folder and ports."""

import base64
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from agent.protocol.signing import new_key, private_jwk
from demo.embedded import Postgres, Valkey
from demo.folder import Folder, Ports, write_private
from demo.issuer import PATH as ISSUER_PATH
from demo.own_kong import OwnKong
from demo.parts import Site

LOOPBACK = "127.0.0.1"
UPSTREAMS = ("billing", "invoice", "refund")


class Plan:
    """The ports, keys and names of a demo: chosen once, and kept in the folder from run to run."""

    def __init__(self, folder: Folder, *, port: int) -> None:
        """`port` is the web port."""
        self._folder = folder
        self._ports = Ports(folder.path("ports.json"), web=port)
        self.web_port = port
        self.web_url = f"http://{LOOPBACK}:{port}"
        self.env = _environment()
        self.postgres = Postgres(
            home=folder.path("postgres"),
            port=self._ports["postgres"],
            password=folder.secret("postgres"),
            env=self.env,
        )
        self.broker = Valkey(
            home=folder.path("broker"),
            port=self._ports["broker"],
            password=folder.secret("broker"),
            env=self.env,
        )
        self.upstreams = {name: self._ports[f"upstream-{name}"] for name in UPSTREAMS}
        self.issuer_port = self._ports["issuer"]
        self.logs = folder.path("log")
        self.report = folder.path("demo.json")

    def lost_ports(self) -> list[int]:
        """The ports that another program took after they were chosen.

        Only for when none of our parts runs.
        """
        return self._ports.lost()

    @property
    def upstream_urls(self) -> dict[str, str]:
        """The sample upstreams, for the seeds."""
        return {name: f"http://{LOOPBACK}:{port}" for name, port in self.upstreams.items()}

    @property
    def issuer_url(self) -> str:
        """The sample issuer, as tokens name it."""
        return f"http://{LOOPBACK}:{self.issuer_port}{ISSUER_PATH}"

    @property
    def issuer_state(self) -> Path:
        """The folder of the sample issuer's keys."""
        path = self._folder.path("secrets")
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    @property
    def seed_state(self) -> Path:
        """A folder in which the seeds keep what must outlive a restart."""
        path = self._folder.path("seed")
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def site(self, *, id: str, name: str, cluster: str, kong: OwnKong | None = None) -> Site:  # noqa: A002 (an id is called id)
        """The place of an agent and its gateway: one of the demo's Envoys, or the person's Kong."""
        ports = {
            use: self._ports[f"{name}-{use}"]
            for use in (("listen",) if kong else ("listen", "proxy", "admin"))
        }
        return Site(
            id=id, name=name, cluster=cluster, state=self._folder.path("agents") / name, kong=kong, **ports
        )

    def settings(self, sites: Iterable[Site] = ()) -> dict[str, str]:
        """The environment of the control plane's parts.

        No upstream may be a site's own side; our own ports are reserved by themselves.
        """
        return self.env | self._own_settings(sites)

    def write_settings(self, sites: Iterable[Site]) -> None:
        """Write down what `make manage` needs, for us alone."""
        write_private(self._folder.path("environment.json"), text=json.dumps(self._own_settings(sites)))

    def _own_settings(self, sites: Iterable[Site]) -> dict[str, str]:
        reserved = (endpoint for site in sites for endpoint in site.reserved)
        return {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DEMO": "1",
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.broker.url,
            "SECRET_KEY": self._folder.secret("secret-key"),
            "SIGNING_KEY_FILE": str(self._signing_key()),
            "ENCRYPTION_KEYS": f"demo:{self._encryption_key()}",
            "OUTBOUND_NETWORKS": "127.0.0.0/8",
            "PUBLIC_URL": self.web_url,
            "ALLOWED_HOSTS": f"localhost,{LOOPBACK}",
            "AGENT_NETWORKS": "127.0.0.0/8",
            "RESERVED_ENDPOINTS": ",".join(reserved),
            "INSECURE_COOKIES": "1",
            "STATIC_ROOT": str(self._folder.path("static")),
        }

    def _encryption_key(self) -> str:
        return base64.urlsafe_b64encode(
            hashlib.sha256(self._folder.secret("encryption-key").encode()).digest()
        ).decode()

    def _signing_key(self) -> Path:
        path = self._folder.path("secrets") / "signing-key.json"
        if not path.exists():
            write_private(path, text=json.dumps(private_jwk(new_key())))
        return path


def _environment() -> dict[str, str]:
    # No proxy in front of loopback, and each line in its log at once.
    local = f"{LOOPBACK},localhost"
    return {**os.environ, "NO_PROXY": local, "no_proxy": local, "PYTHONUNBUFFERED": "1"}
