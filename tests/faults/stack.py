"""The whole system in real processes, driven from outside by HTTP, signals and holes between its parts."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import psycopg

from demo.folder import free_port
from demo.process import ROOT
from tests.faults.browser import Browser
from tests.faults.hole import Hole
from tests.faults.publish import Publish
from tests.faults.system import AGENTS, CLUSTER, SETTINGS_FILE

READY_WITHIN_S = 180.0  # on a machine that does much else at the same time
NOT_INHERITED = {
    *(
        "DATABASE_URL",
        "REDIS_URL",
        "PUBLIC_URL",
        "SIGNING_KEY_FILE",
        "ENCRYPTION_KEYS",
        "SECRET_KEY",
        "DJANGO_SETTINGS_MODULE",
    ),
    *("STATIC_ROOT", "STATICFILES_BACKEND"),
}
"""What the tests' own environment has for itself."""
T = TypeVar("T")


def eventually(look: Callable[[], T | None], *, within_s: float, every_s: float = 0.05) -> T:
    """Look again until what is seen is true; the last thing seen is in the failure."""
    give_up_at = time.monotonic() + within_s
    while not (value := look()):
        assert time.monotonic() < give_up_at, f"not within {within_s} s; last seen: {value!r}"
        time.sleep(every_s)
    return value


@dataclass(frozen=True)
class Stack:
    """A running demo, or what `system.py` makes of its parts. `holes` are between those."""

    file: Path
    process: subprocess.Popen[bytes]
    cluster_name: str
    holes: dict[str, Hole]

    @property
    def facts(self) -> dict[str, Any]:
        """demo.json as it is now."""
        content: dict[str, Any] = json.loads(self.file.read_text())
        return content

    @property
    def cluster(self) -> dict[str, Any]:
        """The cluster that tests publish to."""
        cluster: dict[str, Any] = next(
            cluster for cluster in self.facts["clusters"] if cluster["name"] == self.cluster_name
        )
        return cluster

    @cached_property
    def agents(self) -> list[str]:
        """The names of its agents."""
        return [agent["name"] for agent in self.cluster["agents"]]

    @cached_property
    def gateway_client(self) -> httpx2.Client:
        """For callers of published APIs."""
        return httpx2.Client(trust_env=False, timeout=5)

    @cached_property
    def browser(self) -> Browser:
        """The provider, signed in."""
        facts = self.facts
        return Browser.signed_in(facts["web_url"], facts["provider"])

    def agent(self, name: str) -> dict[str, Any]:
        """What demo.json tells of an agent."""
        agent: dict[str, Any] = next(agent for agent in self.cluster["agents"] if agent["name"] == name)
        return agent

    def api(self, *, account: str = "provider") -> httpx2.Client:
        """A client with that persona's token."""
        token = self.facts[account]["api_token"]
        return httpx2.Client(
            base_url=self.facts["web_url"],
            headers={"Authorization": f"Bearer {token}", "Accept-Language": "en"},
            timeout=30,
            trust_env=False,
        )

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the database past everything; a statement that returns nothing is carried out."""
        with psycopg.connect(self.facts["database_url"], autocommit=True) as connection:
            cursor = connection.execute(query, values)
            return list(cursor.fetchall()) if cursor.description else []

    def at_gateway(self, host: str, path: str, *, method: str = "GET", agent: str = "") -> httpx2.Response:
        """Ask the gateway as a caller of the published API would."""
        url = self.agent(agent or self.agents[0])["proxy_url"]
        return self.gateway_client.request(method, url + path, headers={"Host": host})

    def state_of(self, agent: str) -> Path:
        """An agent's state folder."""
        return self.file.parent / "agents" / agent

    @property
    def operators_environment(self) -> dict[str, str]:
        """The control plane's settings, for commands."""
        content: dict[str, str] = json.loads((self.file.parent / SETTINGS_FILE).read_text())
        return content

    def operator(self, *arguments: str) -> str:
        """The output of a command that an operator types after `python`."""
        completed = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.operators_environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert completed.returncode == 0, completed.stderr
        return completed.stdout

    def django(self, code: str) -> str:
        """Change rows by the models, past every service."""
        return self.operator("manage.py", "shell", "--verbosity", "0", "-c", code)

    def kill(self, part: str) -> int:
        """kill -9; the supervisor starts another one. Returns the dead one's pid."""
        pid = self.pid(part)
        os.kill(pid, signal.SIGKILL)
        return pid

    def pid(self, part: str) -> int:
        """The process of a part: web, worker, beat, postgres, broker, an agent, or its gateway
        (`gateway-<agent>`).
        """
        facts = self.facts
        if part in facts["pids"]:
            return int(facts["pids"][part])
        name = part.removeprefix("gateway-")
        return int(self.agent(name)["pid" if name == part else "gateway_pid"])

    def runs_again(self, part: str, *, not_as: int) -> None:
        """Wait until the supervisor has started the part anew."""
        eventually(lambda: self.file.exists() and self.pid(part) != not_as, within_s=45)

    @contextmanager
    def stopped(self, *parts: str) -> Iterator[None]:
        """kill -9 of these parts and all their children; the supervisor, frozen meanwhile, restarts them at
        the end.
        """
        os.kill(self.process.pid, signal.SIGSTOP)
        pids = {part: self.pid(part) for part in parts}
        try:
            for pid in pids.values():
                os.killpg(pid, signal.SIGKILL)
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)
        for part, pid in pids.items():
            self.runs_again(part, not_as=pid)

    @contextmanager
    def frozen(self, *parts: str) -> Iterator[None]:
        """SIGSTOP, and SIGCONT at the end, in reverse order."""
        pids = [self.pid(part) for part in parts]
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in reversed(pids):
                os.kill(pid, signal.SIGCONT)

    @contextmanager
    def weather(self, *holes: str, **weather: object) -> Iterator[None]:
        """The same bad weather in several holes.

        A name that ends in `-` stands for all that begin so; one that begins with `-`, for all that end so.
        """
        with ExitStack() as stack:
            for name, hole in self.holes.items():
                if any(
                    name == pattern
                    or (pattern.endswith("-") and name.startswith(pattern))
                    or (pattern[0] == "-" and name.endswith(pattern))
                    for pattern in holes
                ):
                    stack.enter_context(hole.having(**weather))
            yield

    def draft(self, api: httpx2.Client, **settings: object) -> Publish:
        """A new draft on the cluster."""
        cluster = self.cluster
        body = {"cluster_id": cluster["id"], "gateway_id": cluster["gateways"][0]["id"], **settings}
        created = api.post(f"/api/v1/provider/products/{self.facts['product_id']}/publishes", json=body)
        assert created.status_code == 201, created.text
        return Publish(api, created.json()["id"], created.json()["hostname_base"])


@contextmanager
def running_demo(folder: Path) -> Iterator[Stack]:
    """`python -m demo` in a folder of its own, stopped as Ctrl-C would."""
    with _running("demo", folder, cluster="kr-dev", holes={}) as stack:
        yield stack


@contextmanager
def running_stack(folder: Path) -> Iterator[Stack]:
    """The demo's parts with holes between them."""
    folder.mkdir(mode=0o700)
    ports = {
        name: free_port()
        for name in (
            "postgres",
            "broker",
            *(f"{agent}-{use}" for agent in AGENTS for use in ("listen", "proxy", "admin")),
        )
    }
    web = free_port(avoid=set(ports.values()))
    holes = {
        name: Hole(name, target).open() for name, target in _targets(ports, web=web, folder=folder).items()
    }
    (folder / "ports.json").write_text(json.dumps(ports))
    (folder / "holes.json").write_text(json.dumps({name: hole.port for name, hole in holes.items()}))
    try:
        with _running("tests.faults.system", folder, cluster=CLUSTER, holes=holes, port=web) as stack:
            yield stack
    finally:
        for hole in holes.values():
            hole.close()


def _targets(ports: dict[str, int], *, web: int, folder: Path) -> dict[str, int | Path]:
    """Where each hole leads."""
    return {
        "web-postgres": ports["postgres"],
        "worker-postgres": ports["postgres"],
        **{f"{part}-broker": ports["broker"] for part in ("web", "worker", "beat")},
        "control-plane": web,
        **{f"agent-{agent}": ports[f"{agent}-listen"] for agent in AGENTS},
        **{f"admin-{agent}": ports[f"{agent}-admin"] for agent in AGENTS},
        **{f"xds-{agent}": folder / "agents" / agent / "envoy" / "xds.sock" for agent in AGENTS},
    }


@contextmanager
def _running(
    module: str, folder: Path, *, cluster: str, holes: dict[str, Hole], port: int = 0
) -> Iterator[Stack]:
    env = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED} | {
        "DEMO_DIR": str(folder),
        "PORT": str(port or free_port()),
    }
    out = folder.with_name(f"{folder.name}.out")
    process = subprocess.Popen(
        [sys.executable, "-m", module], cwd=ROOT, env=env, stdout=out.open("wb"), stderr=subprocess.STDOUT
    )
    file = folder / "demo.json"
    try:
        eventually(lambda: file.exists() or process.poll() is not None, within_s=READY_WITHIN_S)
        assert process.poll() is None, out.read_text()
        yield Stack(file, process, cluster, holes)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
