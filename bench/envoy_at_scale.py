"""What one more publish costs beside many others: `python -m bench.envoy_at_scale [most]`.

A real Envoy and the agent's driver, without a control plane, in one run. Times are medians and the worst of a
few rounds, from the driver's call until every worker has answered.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psutil

from agent.drivers.base import Desired, PinnedSpec
from agent.drivers.envoy.driver import EnvoyDriver
from agent.drivers.envoy.setup import EnvoySetup, arguments_of
from agent.protocol.spec import ApiKey, Auth, AuthMode, Route, Service, Spec, State, Upstream
from demo.embedded import envoy_binary
from demo.folder import free_port

MOST = 2_000
STEPS = (0, 500, 2_000, 8_000)
ROUNDS, ROUTES, BATCH = 20, 6, 100
GIVE_UP_S = 30.0


def main() -> None:
    """Fill the gateway step by step and print a line for each."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else MOST
    with tempfile.TemporaryDirectory(prefix="imp-bench-") as folder:
        site = Site(Path(folder))
        try:
            report(site, [step for step in STEPS if step <= most])
        finally:
            site.stop()


def report(site: "Site", steps: list[int]) -> None:
    """The table."""
    say(f"Envoy with {os.cpu_count()} workers, {ROUTES} routes a publish; load {os.getloadavg()[0]:.1f}")
    first: float | None = None
    for step in steps:
        filled_s = site.fill(step)
        times = {name: site.measure(change) for name, change in CHANGES.items()}
        new = statistics.median(times["new"])
        first = first or new
        shown = ", ".join(
            f"{name} {1000 * statistics.median(rounds):.1f} (worst {1000 * max(rounds):.1f})"
            for name, rounds in times.items()
        )
        say(f"{step:6} there: {shown} ms; {new / first:.2f} x the first; filled in {filled_s:.1f} s")
        say(f"       started again together: served after {site.restart():.2f} s; {site.memory()}")


class Site:
    """An Envoy and its driver in a folder."""

    def __init__(self, folder: Path) -> None:
        self._state = folder
        proxy, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self._options = {"proxy": proxy, "admin": admin, "proxy_url": f"http://{proxy}"}
        self._specs: list[PinnedSpec] = []
        EnvoySetup().prepare(self._state, self._options, node="bench")
        self._start()

    def fill(self, count: int) -> float:
        """Publish until so many are there; the seconds that it took."""
        started = time.perf_counter()
        while len(self._specs) < count:
            new = [spec_of() for _ in range(min(BATCH, count - len(self._specs)))]
            self._driver.apply([Desired(wanted=pinned_spec) for pinned_spec in new])
            self._specs += new
        return time.perf_counter() - started

    def measure(self, change: Callable[[PinnedSpec], tuple[PinnedSpec, PinnedSpec]]) -> list[float]:
        """The seconds of a change and its proof, in each round. Everything is taken off again."""
        rounds = []
        for _ in range(ROUNDS):
            before, after = change(spec_of())
            if before != after:
                self._driver.apply([Desired(wanted=before)])
            started = time.perf_counter()
            self._driver.apply([Desired(wanted=after)])
            self._driver.verify(after)
            rounds.append(time.perf_counter() - started)
            self._driver.apply([Desired(wanted=changed(after, state=State.ABSENT, services=()))])
        return rounds

    def restart(self) -> float:
        """Start both again; the seconds until callers are served."""
        self.stop()
        started = time.perf_counter()
        self._start()
        if self._specs:
            self._driver.verify(self._specs[0])
        return time.perf_counter() - started

    def memory(self) -> str:
        """The resident memory of both."""
        agent, envoy = (
            psutil.Process(pid).memory_info().rss // 2**20 for pid in (os.getpid(), self._envoy.pid)
        )
        return f"this process {agent} MB, Envoy {envoy} MB"

    def stop(self) -> None:
        """End both."""
        self._envoy.kill()
        self._envoy.wait()
        self._driver.stop()

    def _start(self) -> None:
        command = [str(envoy_binary()), *arguments_of(self._state), "-l", "off"]
        self._envoy = subprocess.Popen(command)
        self._driver: EnvoyDriver = EnvoySetup().create(self._state, self._options, node="bench")
        self._driver.start()
        give_up_at = time.monotonic() + GIVE_UP_S
        while not self._driver.describe().ok:
            if time.monotonic() > give_up_at:
                raise SystemExit(self._driver.describe().error)
            time.sleep(0.005)


def spec_of() -> PinnedSpec:
    """A publish with keys."""
    publish = uuid4()
    routes = tuple(Route(id=uuid4(), path=f"/route-{number}", methods=()) for number in range(ROUTES))
    upstream = Upstream(scheme="http", host="127.0.0.1", port=9)
    service = Service(id=uuid4(), name="one", upstream=upstream, routes=routes)
    auth = Auth(mode=AuthMode.API_KEY, key_header="apikey", keys=(key(),))
    host = f"{publish}.localhost"
    spec = Spec(publish_id=publish, generation=1, state=State.LIVE, host=host, auth=auth, services=(service,))
    return PinnedSpec(spec=spec, addresses={"127.0.0.1:9": ("127.0.0.1",)}, probe_host=host)


def key() -> ApiKey:
    """One that nobody has."""
    return ApiKey(id=uuid4(), consumer="bench", fingerprint="f", secret=uuid4().hex)


def changed(pinned_spec: PinnedSpec, **change: object) -> PinnedSpec:
    """The next generation of it."""
    spec = pinned_spec.spec
    update = {"generation": spec.generation + 1, **change}
    return pinned_spec.model_copy(update={"spec": spec.model_copy(update=update)})


def with_another_key(pinned_spec: PinnedSpec) -> tuple[PinnedSpec, PinnedSpec]:
    """Before and after."""
    auth = pinned_spec.spec.auth.model_copy(update={"keys": (key(), key())})
    return pinned_spec, changed(pinned_spec, auth=auth)


CHANGES: dict[str, Callable[[PinnedSpec], tuple[PinnedSpec, PinnedSpec]]] = {
    "new": lambda pinned_spec: (pinned_spec, pinned_spec),
    "another key": with_another_key,
    "withdrawn": lambda pinned_spec: (
        pinned_spec,
        changed(pinned_spec, state=State.WITHDRAWN, services=(), auth=Auth()),
    ),
}


def say(line: str) -> None:
    """To whoever runs it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
