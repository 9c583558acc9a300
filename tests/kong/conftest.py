"""Kongs for tests: the double with a database and without one, and the driver for each."""

from collections.abc import Iterator

import pytest

from tests.agent.doubles import Upstreams, quieten
from tests.doubles.kong.node import Kong
from tests.kong.gateway import Gateway


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
