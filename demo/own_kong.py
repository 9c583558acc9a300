"""A Kong that the person brings: where it is, and taking off it again what the demo put there.

The only module of the demo that writes to it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from agent import config
from agent.drivers.base import Desired, PinnedSpec, SetupFailed, Unreachable
from agent.drivers.kong.setup import KongSetup
from agent.files import FileDamaged
from agent.protocol.spec import Spec, State
from agent.work.state import Store
from demo.process import DemoRefused

LAST_GENERATION = 2**31 - 1
"""Above all that the demo ever wrote."""


@dataclass(frozen=True, kw_only=True)
class OwnKong:
    """A Kong's Admin API and proxy, and whether no other node has its database."""

    admin_url: str
    proxy_url: str
    is_alone: bool = False

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "OwnKong | None":
        """From KONG_ADMIN_URL, KONG_PROXY_URL and KONG_ALONE; None when neither of the first two is set.

        Raises DemoRefused.
        """
        admin, proxy = environ.get("KONG_ADMIN_URL") or "", environ.get("KONG_PROXY_URL") or ""
        if not admin and not proxy:
            return None
        if not admin or not proxy:
            raise DemoRefused(
                "KONG_ADMIN_URL and KONG_PROXY_URL go together, "
                "say http://127.0.0.1:8001 and http://127.0.0.1:8000."
            )
        if any(urlsplit(url).scheme != "http" or not urlsplit(url).hostname for url in (admin, proxy)):
            raise DemoRefused(
                "KONG_ADMIN_URL and KONG_PROXY_URL are plain http URLs, "
                "say http://127.0.0.1:8001 and http://127.0.0.1:8000."
            )
        return cls(
            admin_url=admin.rstrip("/"),
            proxy_url=proxy.rstrip("/"),
            is_alone=environ.get("KONG_ALONE") == "1",
        )

    def check(self) -> None:
        """Raise DemoRefused for a Kong that the driver cannot work with."""
        description = KongSetup().create(Path(), self.driver_options, node="demo").describe()
        if not description.ok:
            raise DemoRefused(description.error)

    @property
    def driver_options(self) -> dict[str, str]:
        """The options as the agent's driver remembers them."""
        return {
            "admin_url": self.admin_url,
            "proxy_url": self.proxy_url,
            "alone": "1" if self.is_alone else "",
        }

    @property
    def arguments(self) -> tuple[str, ...]:
        """The options as `agent enroll` takes them."""
        return (
            "--driver",
            "kong",
            "--admin-url",
            self.admin_url,
            "--proxy-url",
            self.proxy_url,
            *(("--alone",) if self.is_alone else ()),
        )

    @property
    def reserved(self) -> tuple[str, ...]:
        """The host:port pairs that no upstream may be."""
        return tuple(
            f"{parts.hostname}:{parts.port or 80}"
            for parts in map(urlsplit, (self.admin_url, self.proxy_url))
        )


def take_back(agents: Path) -> list[str]:
    """Remove from every Kong what the agents of this folder ever put there; their addresses.

    Raises DemoRefused when one does not answer.
    """
    folders = sorted(path for path in agents.glob("*") if config.is_enrolled(path)) if agents.exists() else []
    return [url for folder in folders if (url := _remove_from_kong(folder))]


def _remove_from_kong(folder: Path) -> str:
    try:
        settings, records = config.load(folder).settings, Store(folder).records
        if settings.driver != KongSetup.name:
            return ""
        absent_specs = [
            PinnedSpec(spec=Spec(publish_id=publish, generation=LAST_GENERATION, state=State.ABSENT))
            for publish in records
        ]
        KongSetup().create(folder, dict(settings.options), node=settings.agent_id).apply(
            [Desired(wanted=pinned_spec) for pinned_spec in absent_specs]
        )
    except (FileDamaged, SetupFailed, json.JSONDecodeError) as problem:
        raise DemoRefused(f"What the demo put on a Kong cannot be told from {folder}: {problem}") from problem
    except Unreachable as problem:
        raise DemoRefused(
            f"{problem} What the demo put on that Kong would stay: start it and try again, "
            f"or remove {folder} to leave it there."
        ) from problem
    return settings.options["admin_url"]
