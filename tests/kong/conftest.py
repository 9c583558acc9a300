"""Kongs for tests: the double with a database and without one, and the driver for each; a real Envoy for what has to be the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.doubles import Upstreams, quieten
from tests.agent.gateway import Gateway as EnvoyGateway
from tests.agent.gateway import Memory
from tests.doubles.kong.node import Kong
from tests.kong.gateway import Anywhere, Gateway


@pytest.fixture(scope="session", autouse=True)
def quiet() -> None:
    quieten()


@pytest.fixture
def upstream() -> Iterator[Upstreams]:
    server = Upstreams()
    yield server
    server.close()


@pytest.fixture
def db() -> Iterator[Gateway]:
    """A Kong with a database."""
    kong = Kong().start()
    yield Gateway(kong)
    kong.stop()


@pytest.fixture
def dbless() -> Iterator[Gateway]:
    """A Kong without one."""
    kong = Kong(database="off").start()
    yield Gateway(kong)
    kong.stop()


@pytest.fixture(params=["postgres", "off"])
def gateway(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """Each test that asks for it runs in both modes."""
    kong = Kong(database=request.param).start()
    yield Gateway(kong)
    kong.stop()


@pytest.fixture(params=["envoy", "kong", "kong without a database"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Anywhere]:
    """A gateway of each kind."""
    if request.param == "envoy":
        envoy = EnvoyGateway(tmp_path)
        envoy.prepare()
        envoy.start()
        yield Anywhere(memory=Memory(envoy.driver), ask=envoy.ask)
        envoy.stop()
        return
    kong = Kong(database="postgres" if request.param == "kong" else "off").start()
    gateway = Gateway(kong)
    yield Anywhere(memory=gateway.memory, ask=gateway.ask)
    kong.stop()
