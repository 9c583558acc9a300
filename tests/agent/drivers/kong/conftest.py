"""Kongs for tests: the double with and without a database, and its drivers; a real Envoy for comparison."""

import os
from collections.abc import Iterator

import pytest

from tests.agent.doubles import Upstreams, quieten
from tests.agent.drivers.kong.gateway import Anywhere, Gateway
from tests.agent.gateway import Gateway as EnvoyGateway
from tests.agent.gateway import Memory
from tests.doubles.kong.node import Kong


@pytest.fixture(scope="session", autouse=True)
def quiet() -> None:
    quieten()


@pytest.fixture(autouse=True)
def few_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six connections for a double, as many as ever for a real Kong.

    A double has two workers at most, which take turns: six connections ask each of them three times.
    """
    if not os.environ.get("KONG_PROXY_URL"):
        monkeypatch.setattr("agent.drivers.proof.CONNECTIONS", 6)


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


@pytest.fixture(scope="session")
def envoy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnvoyGateway]:
    """A real one for all tests: each has hosts of its own."""
    gateway = EnvoyGateway(tmp_path_factory.mktemp("envoy"))
    gateway.prepare()
    gateway.start()
    yield gateway
    gateway.stop()


@pytest.fixture(params=["envoy", "kong", "kong without a database"])
def anywhere(request: pytest.FixtureRequest) -> Iterator[Anywhere]:
    """A gateway of each kind."""
    if request.param == "envoy":
        envoy: EnvoyGateway = request.getfixturevalue("envoy")
        yield Anywhere(memory=Memory(envoy.driver), ask=envoy.ask)
        return
    kong = Kong(database="postgres" if request.param == "kong" else "off").start()
    gateway = Gateway(kong)
    yield Anywhere(memory=gateway.memory, ask=gateway.ask)
    kong.stop()
