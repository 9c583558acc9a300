"""The whole system in real processes, as `make demo` runs it, driven from outside by HTTP and signals."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from demo.folder import free_port
from demo.process import ROOT

READY_WITHIN_S = 180.0  # on a machine that does much else at the same time
OPEN = {"QUEUED", "SENT"}
T = TypeVar("T")


def eventually(look: Callable[[], T | None], *, within_s: float, every_s: float = 0.05) -> T:
    """Look again until what is seen is true; the last thing seen is in the failure."""
    give_up_at = time.monotonic() + within_s
    while not (seen := look()):
        assert time.monotonic() < give_up_at, f"not within {within_s} s; last seen: {seen!r}"
        time.sleep(every_s)
    return seen


@dataclass(frozen=True)
class Stack:
    """A running demo."""

    file: Path
    process: subprocess.Popen[bytes]
    gateway_client: httpx2.Client

    @property
    def told(self) -> dict[str, Any]:
        """demo.json as it is now."""
        content: dict[str, Any] = json.loads(self.file.read_text())
        return content

    @property
    def cluster(self) -> dict[str, Any]:
        """kr-dev."""
        cluster: dict[str, Any] = next(cluster for cluster in self.told["clusters"] if cluster["name"] == "kr-dev")
        return cluster

    def api(self, *, who: str = "provider") -> httpx2.Client:
        """A client with that persona's token."""
        token = self.told[who]["api_token"]
        return httpx2.Client(base_url=self.told["web_url"], headers={"Authorization": f"Bearer {token}", "Accept-Language": "en"}, timeout=30, trust_env=False)

    def at_gateway(self, host: str, path: str, *, method: str = "GET") -> httpx2.Response:
        """Ask the gateway as a caller of the published API would."""
        return self.gateway_client.request(method, self.cluster["agents"][0]["proxy_url"] + path, headers={"Host": host})

    def kill(self, part: str) -> None:
        """kill -9; the supervisor starts another one."""
        os.kill(self.pid(part), signal.SIGKILL)

    def pid(self, part: str) -> int:
        """The process of a part: web, worker, beat, postgres, broker, agent or gateway."""
        agent = self.cluster["agents"][0]
        pids: dict[str, int] = {**self.told["pids"], "agent": agent["pid"], "gateway": agent["gateway_pid"]}
        return pids[part]

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

    def draft(self, api: httpx2.Client) -> "Publish":
        """A new draft on kr-dev."""
        cluster = self.cluster
        where = {"cluster_id": cluster["id"], "gateway_id": cluster["gateways"][0]["id"]}
        made = api.post(f"/api/v1/provider/products/{self.told['product_id']}/publishes", json=where)
        assert made.status_code == 201, made.text
        return Publish(api, made.json()["id"], made.json()["hostname_base"])


@dataclass(frozen=True)
class Publish:
    """One publish, as a script sees it."""

    api: httpx2.Client
    id: str
    host: str

    @property
    def path(self) -> str:
        """Its URL."""
        return f"/api/v1/provider/product-publishes/{self.id}"

    @property
    def status(self) -> str:
        """DRAFT, PUBLISHED or WITHDRAWN."""
        return str(self.api.get(self.path).json()["status"])

    def ask(self, verb: str, **body: str) -> httpx2.Response:
        """publish, withdraw or delete."""
        if verb == "delete":
            return self.api.delete(self.path)
        return self.api.post(f"{self.path}/{verb}", json=body)

    def ended(self, asked: httpx2.Response, *, within_s: float) -> dict[str, Any]:
        """Poll the operation until it has ended, as its `Location` says."""
        assert asked.status_code == 202, asked.text

        def look() -> dict[str, Any] | None:
            operation: dict[str, Any] = self.api.get(asked.headers["Location"]).json()
            return None if operation["phase"] in OPEN else operation

        return eventually(look, within_s=within_s)

    def run(self, verb: str, *, within_s: float = 10.0, **body: str) -> dict[str, Any]:
        """Ask, and wait until it has succeeded."""
        operation = self.ended(self.ask(verb, **body), within_s=within_s)
        assert operation["phase"] == "SUCCEEDED", operation
        return operation

    def transitions(self) -> list[str]:
        """The statuses it went to, oldest first."""
        events = self.api.get(f"{self.path}/events").json()
        return [event["to_status"] for event in reversed(events) if event["to_status"]]

    def clean_up(self) -> None:
        """Off the gateway again."""
        if self.status == "PUBLISHED":
            self.run("withdraw", reason="the test is over")
        self.run("delete")


@contextmanager
def running_stack(folder: Path) -> Iterator[Stack]:
    """Start the demo in a folder of its own, and stop it as Ctrl-C would."""
    taken_over = {
        "DATABASE_URL",
        "REDIS_URL",
        "PUBLIC_URL",
        "SIGNING_KEY_FILE",
        "ENCRYPTION_KEYS",
        "SECRET_KEY",
        "DJANGO_SETTINGS_MODULE",
        "STATIC_ROOT",
        "STATICFILES_BACKEND",
    }
    env = {name: value for name, value in os.environ.items() if name not in taken_over} | {"DEMO_DIR": str(folder), "PORT": str(free_port())}
    process = subprocess.Popen([sys.executable, "-m", "demo"], cwd=ROOT, env=env, stdout=(folder.parent / "demo.out").open("wb"), stderr=subprocess.STDOUT)
    file = folder / "demo.json"
    try:
        eventually(lambda: file.exists() or process.poll() is not None, within_s=READY_WITHIN_S)
        assert process.poll() is None, (folder.parent / "demo.out").read_text()
        with httpx2.Client(trust_env=False, timeout=5) as gateway_client:
            yield Stack(file, process, gateway_client)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
