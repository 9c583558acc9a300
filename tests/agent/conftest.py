"""Real parts for the agent's tests: a control plane double over HTTP, upstreams, and an Envoy process.

Every process ends with its test.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.bench import Bench
from tests.agent.doubles import ControlPlaneDouble, Upstreams, quieten
from tests.agent.gateway import Gateway, Memory
from tests.agent.running import Running


@pytest.fixture(scope="session", autouse=True)
def quiet() -> None:
    quieten()


@pytest.fixture
def control_plane() -> Iterator[ControlPlaneDouble]:
    double = ControlPlaneDouble().start()
    yield double
    double.stop()


@pytest.fixture
def upstream() -> Iterator[Upstreams]:
    server = Upstreams()
    yield server
    server.close()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A running Envoy with an empty configuration, and the driver for it."""
    running = Gateway(tmp_path)
    running.prepare()
    running.start()
    yield running
    running.stop()
    running.forget()


@pytest.fixture
def memory(gateway: Gateway) -> Memory:
    return Memory(gateway.driver)


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes put in here are killed at the end, whatever happens."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.worker.stop(timeout_s=1)


@pytest.fixture
def agent(tmp_path: Path, control_plane: ControlPlaneDouble) -> Iterator[Running]:
    running = Running(tmp_path, control_plane)
    yield running
    running.stop()
