"""The demo's parts besides its servers: control plane, sample upstreams, and each agent with its gateway."""

import http.client
import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agent.drivers.envoy.setup import arguments_of
from demo.embedded import envoy_binary, is_listening
from demo.folder import write_private
from demo.own_kong import OwnKong
from demo.process import Part

Env = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Site:
    """One agent of one cluster with its gateway: its state folder and its three ports.

    A Kong of the person's own has addresses instead of two of them.
    """

    id: str
    name: str
    cluster: str
    state: Path
    listen: int
    proxy: int = 0
    admin: int = 0
    kong: OwnKong | None = None

    @property
    def proxy_url(self) -> str:
        """The URL for callers."""
        return self.kong.proxy_url if self.kong else f"http://127.0.0.1:{self.proxy}"

    @property
    def admin_url(self) -> str:
        """The gateway's admin side."""
        return self.kong.admin_url if self.kong else f"http://127.0.0.1:{self.admin}"

    @property
    def reserved(self) -> tuple[str, ...]:
        """The `host:port` pairs that no upstream may be."""
        return (
            f"127.0.0.1:{self.listen}",
            *(self.kong.reserved if self.kong else (f"127.0.0.1:{self.admin}",)),
        )

    @property
    def agent(self) -> str:
        """The name of the agent's part."""
        return f"agent-{self.name}"

    @property
    def envoy(self) -> str:
        """The name of the gateway's part."""
        return f"envoy-{self.name}"

    def is_enrolled_at(self, url: str) -> bool:
        """True when the state folder is of this very agent, these ports and this control plane."""
        return self._note.exists() and json.loads(self._note.read_text()) == self._terms(url)

    def note_enrolled_at(self, url: str) -> None:
        """Note what the state folder was made for."""
        write_private(self._note, text=json.dumps(self._terms(url)))

    def forget(self) -> None:
        """Remove a state folder that was made for something else, or only half."""
        self._note.unlink(missing_ok=True)
        shutil.rmtree(self.state, ignore_errors=True)
        self.state.parent.mkdir(mode=0o700, exist_ok=True)

    @property
    def _note(self) -> Path:
        return self.state.with_name(f"{self.name}.json")

    def _terms(self, url: str) -> dict[str, str | int]:
        terms: dict[str, str | int] = {
            "agent": self.id,
            "url": url,
            "listen": self.listen,
            "proxy": self.proxy,
            "admin": self.admin,
        }
        return {**terms, **self.kong.driver_options} if self.kong else terms


def web(env: Env, *, port: int) -> Part:
    """Pages and API."""
    # The time for a head is the time that a connection may be idle too: longer than two heartbeats, or agents
    # would meet closed ones.
    options = (
        "--interface",
        "asgi",
        "--http",
        "1",
        "--no-ws",
        "--http1-header-read-timeout",
        "30000",
        "--backpressure",
        "4096",
    )
    argv = _python(
        "granian",
        *options,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-access-log",
        "config.asgi:application",
    )
    return Part(name="web", argv=argv, env=env, is_ready=partial(status_is, port, "/livez", 200))


def worker(env: Env) -> Part:
    """The tasks: pushes to agents, and the sweep."""
    options = (
        "--pool",
        "threads",
        "--concurrency",
        "24",
        "-Q",
        "deliver,sweep,celery",
        "-n",
        "demo@localhost",
        "--without-gossip",
        "--without-mingle",
    )
    return Part(name="worker", argv=_python("celery", "-A", "config", "worker", *options), env=env)


def beat(env: Env) -> Part:
    """The clock of the sweep. It keeps no schedule file."""
    return Part(
        name="beat",
        argv=_python("celery", "-A", "config", "beat", "-S", "celery.beat:Scheduler", "--pidfile="),
        env=env,
    )


def upstreams(env: Env, *, ports: Mapping[str, int]) -> Part:
    """The sample services, by name."""
    argv = _python("demo.upstreams", *(f"{name}={port}" for name, port in ports.items()))
    return Part(name="upstreams", argv=argv, env=env, is_ready=partial(is_listening, *ports.values()))


def issuer(env: Env, *, port: int, state: Path) -> Part:
    """The sample issuer of tokens."""
    return Part(
        name="issuer",
        argv=_python("demo.issuer", str(port), str(state)),
        env=env,
        is_ready=partial(is_listening, port),
    )


def enrolment(site: Site, *, code: str, env: Env) -> Part:
    """A program that makes a site's state folder, with its gateway's bootstrap."""
    driver = (
        site.kong.arguments
        if site.kong
        else ("--driver", "envoy", "--proxy", f"127.0.0.1:{site.proxy}", "--admin", f"127.0.0.1:{site.admin}")
    )
    place = ("--listen", f"127.0.0.1:{site.listen}", "--advertise", f"http://127.0.0.1:{site.listen}")
    argv = _python("agent", "enroll", "--code", code, "--state", str(site.state), *driver, *place)
    return Part(name=f"enroll-{site.name}", argv=argv, env=env)


def envoy(site: Site, *, env: Env) -> Part:
    """A site's gateway, not a child of its agent: either may die alone."""
    argv = (str(envoy_binary()), *arguments_of(site.state), "--log-level", "warning")
    return Part(name=site.envoy, argv=argv, env=env, is_ready=partial(status_is, site.admin, "/ready", 200))


def agent(site: Site, *, env: Env) -> Part:
    """A site's agent."""
    return Part(
        name=site.agent,
        argv=_python("agent", "run", "--state", str(site.state)),
        env=env,
        is_ready=partial(is_listening, site.listen),
    )


def status_is(port: int, path: str, status: int, /) -> bool:
    """True when a GET on a loopback port answers with this status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == status
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)
