"""100 publishes at once on three agents with real Envoys, beside a running demo.

`python -m bench.many_publishes var/demo.json [publishes] [agents]`

Time runs from the first request until the last one is PUBLISHED. The cluster is made for it, and everything
is taken off again.
"""

import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.drivers.envoy.setup import arguments_of
from bench.inside import enter
from demo.embedded import envoy_binary
from demo.folder import free_port

GIVE_UP_S = 300.0


def main() -> None:
    """Run it once and print a line or two."""
    facts = enter(Path(sys.argv[1]))
    publishes, agents = (
        int(sys.argv[n]) if len(sys.argv) > n else default for n, default in ((2, 100), (3, 3))
    )
    bench: Any = importlib.import_module("bench.rows")
    cluster = bench.make_cluster(f"bench-{uuid.uuid4().hex[:6]}")
    with (
        tempfile.TemporaryDirectory(prefix="imp-bench-") as folder,
        sites(Path(folder), bench, cluster, agents) as logs,
    ):
        drafts = bench.drafts(cluster, facts["product_id"], publishes)
        started = time.perf_counter()
        for draft in drafts:
            bench.publish(draft)
        requested_at = time.perf_counter()
        wait(lambda: bench.count(cluster, status="PUBLISHED") == publishes)
        ended = time.perf_counter()
        batches = [batch for log in logs for batch in batches_of(log)]
        say(
            f"{publishes} publishes x {agents} agents: {ended - started:.1f} s until the last is PUBLISHED "
            f"({requested_at - started:.1f} s of it to ask for them)"
        )
        say(
            f"{len(batches)} changes on {agents} Envoys, the largest with {max(batches)} publishes; "
            f"load average {os.getloadavg()[0]:.1f}"
        )
        bench.take_off(cluster, wait)


@contextmanager
def sites(folder: Path, bench: Any, cluster: Any, agents: int) -> Iterator[list[Path]]:
    """Agents with an Envoy each, connected; their logs."""
    running: list[subprocess.Popen[bytes]] = []
    logs = [folder / f"{number}.log" for number in range(agents)]
    try:
        for number, log in enumerate(logs):
            running += start(
                folder / f"agent-{number}", log, code=bench.code(cluster, f"{cluster.name}-{number}")
            )
        wait(lambda: bench.connected(cluster) == agents)
        yield logs
    finally:
        for process in running:
            process.kill()
            process.wait()
        bench.forget_agents(cluster)


def start(state: Path, log: Path, *, code: str) -> list[subprocess.Popen[bytes]]:
    """Enrol, then run Envoy and the agent."""
    listen, proxy, admin = (f"127.0.0.1:{free_port()}" for _ in range(3))
    python = (sys.executable, "-m", "agent")
    ports = ("--listen", listen, "--proxy", proxy, "--admin", admin)
    subprocess.run(
        (*python, "enroll", "--code", code, "--state", str(state), "--driver", "envoy", *ports),
        check=True,
        stdout=subprocess.DEVNULL,
    )
    envoy = (str(envoy_binary()), *arguments_of(state), "--log-level", "error")
    with log.open("wb") as out:
        return [
            subprocess.Popen(envoy, stderr=subprocess.DEVNULL),
            subprocess.Popen((*python, "run", "--state", str(state)), stderr=out),
        ]


def batches_of(log: Path) -> list[int]:
    """How many publishes each change of an agent took."""
    lines = [
        json.loads(line) for line in log.read_text().splitlines() if re.search(r'"event": "batch"', line)
    ]
    return [int(line["size"]) for line in lines]


def wait(is_true: Callable[[], bool]) -> None:
    """Look every 50 ms."""
    give_up_at = time.monotonic() + GIVE_UP_S
    while not is_true():
        if time.monotonic() > give_up_at:
            raise SystemExit(f"Not done after {GIVE_UP_S:.0f} s.")
        time.sleep(0.05)


def say(line: str) -> None:
    """To the terminal."""
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
