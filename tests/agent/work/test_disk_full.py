"""A full disk is named in answers and heartbeats, and is over as soon as there is room, without a restart."""

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent import sqlite
from agent.drivers.envoy import resource_store
from agent.protocol.messages import Outcome
from agent.protocol.spec import Spec
from agent.work import state
from agent.work.state import STATE_FILE, Store
from tests.agent.doubles import ControlPlaneDouble, Upstreams, live, make_service, until
from tests.agent.gateway import Gateway
from tests.agent.running import Running

Fill = Callable[[str], None]
NO_LIMIT = 1_000_000_000


@pytest.fixture
def fill(monkeypatch: pytest.MonkeyPatch) -> Fill:
    """Leaves no room for files whose path has this in it; "/room/" makes room.

    As a disk that allocates late, it says so when the bytes have to be there. SQLite says so by itself when
    its file may not grow.
    """
    fsync, begin, full = os.fsync, sqlite.writing, ["/room/"]

    def sync(handle: int) -> None:
        if full[0] in str(Path(f"/proc/self/fd/{handle}").readlink()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    @contextmanager
    def writing(database: sqlite3.Connection, path: Path, *, size: int) -> Iterator[None]:
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        limit = pages if full[0] in str(path) else NO_LIMIT
        database.execute(f"PRAGMA max_page_count = {limit}")
        with begin(database, path, size=size):
            yield

    monkeypatch.setattr(os, "fsync", sync)
    for module in (state, resource_store):
        monkeypatch.setattr(module, "writing", writing)
    return lambda part: full.__setitem__(0, part)


def large(port: int = 9) -> Spec:
    """More than fits into the room that a page of the database has left."""
    return live(services=tuple(make_service(port) for _ in range(30)))


def test_a_full_disk_is_named_in_the_answer_and_in_the_heartbeat_and_ends_by_itself(
    agent: Running, fill: Fill
) -> None:
    path = agent.store._path
    message = (
        f"The agent cannot write {path} (No space left on device): "
        "make room there; nothing has to be started anew."
    )
    spec = large()
    agent.double.expected[spec.publish_id] = spec
    fill(STATE_FILE)
    sealed = agent.seal(spec)
    (result,) = agent.double.open_answer(agent.me, agent.post(sealed.token).text, answers=sealed.id)
    assert (result.outcome, result.step, result.code, result.message) == (
        Outcome.UNREACHABLE,
        "disk",
        "disk_full",
        message,
    )
    assert agent.gateway.changes == []
    for _ in range(2):
        agent.beat()
        assert (agent.double.heartbeats[-1].gateway_ok, agent.double.heartbeats[-1].gateway_error) == (
            False,
            message,
        )
    until(lambda: not leftovers(path.parent), description="no file of a failed or tried write is left")

    fill("/room/")
    agent.beat()
    assert (agent.double.heartbeats[-1].gateway_ok, agent.double.heartbeats[-1].gateway_error) == (True, "")
    until(
        lambda: Store(path.parent).records.get(spec.publish_id) and not agent.store.pending(),
        description="fetched, applied and remembered",
    )
    until(lambda: not leftovers(path.parent), description="no file of a failed or tried write is left")


def test_both_are_said_of_a_gateway_that_is_away_and_a_disk_that_is_full(agent: Running, fill: Fill) -> None:
    fill(STATE_FILE)
    agent.post(agent.seal(large()).token)
    agent.gateway.away = True
    agent.beat()
    error = agent.double.heartbeats[-1].gateway_error
    assert error.startswith("The gateway is away. The agent cannot write")


def leftovers(folder: Path) -> list[str]:
    """Files beside those that are meant: a write that is being tried has one for a moment."""
    return [entry.name for entry in folder.iterdir() if entry.name.startswith(".")]


def test_a_gateway_s_own_full_disk_is_named_too(
    tmp_path: Path,
    control_plane: ControlPlaneDouble,
    gateway: Gateway,
    upstream: Upstreams,
    fill: Fill,
) -> None:
    agent = Running(tmp_path, control_plane, driver=gateway.driver)
    standing, spec = live(port=upstream.port), large(upstream.port)
    agent.post(agent.seal(standing).token)
    fill("resources.sqlite3")
    sealed = agent.seal(spec)
    (result,) = control_plane.open_answer(agent.me, agent.post(sealed.token).text, answers=sealed.id)
    named = str(tmp_path / "envoy" / "resources.sqlite3") in result.message
    assert (result.code, named) == ("disk_full", True)
    assert gateway.ask(standing.host).status == 200
    fill("/room/")
    sealed = agent.seal(spec)
    (result,) = control_plane.open_answer(agent.me, agent.post(sealed.token).text, answers=sealed.id)
    assert result.outcome == Outcome.VERIFIED
    assert [gateway.ask(published.host).status for published in (standing, spec)] == [200, 200]
    agent.stop()
    gateway.stop()
    gateway.forget()
    gateway.start()
    assert [gateway.ask(published.host).status for published in (standing, spec)] == [200, 200]
