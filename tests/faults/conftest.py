"""One running system for all tests of faults: each test leaves it as it found it."""

from collections.abc import Iterator

import httpx2
import pytest

from tests.faults import table
from tests.faults.publish import Publish
from tests.faults.stack import Stack, running_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole system."""
    with running_stack(tmp_path_factory.mktemp("stack") / "demo") as running:
        yield running


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx2.Client]:
    """The provider's script."""
    with stack.api() as client:
        yield client


@pytest.fixture
def publish(stack: Stack, api: httpx2.Client) -> Iterator[Publish]:
    """A draft, taken off the gateway afterwards."""
    publish = stack.draft(api)
    yield publish
    if api.get(publish.path).status_code == 200:
        publish.clean_up()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of faults: time until gateway, database and page agreed again."""
    if lines := table.lines():
        terminalreporter.section("faults: what was seen, and the time until all agreed again")
        for line in lines:
            terminalreporter.write_line(str(line))
