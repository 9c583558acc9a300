"""Real parts for the agent's tests: a control plane double over HTTP, upstreams, and an Envoy process. Every process ends with its test."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.doubles import ControlPlaneDouble, Upstreams
from tests.agent.gateway import Gateway


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


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes put in here are killed at the end, whatever happens."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()
