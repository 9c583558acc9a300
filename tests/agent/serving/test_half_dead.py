"""An agent is whole or ends: a log that cannot be written costs lines alone, and no thread dies alone."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from agent.protocol.messages import PATH_COMMANDS, Outcome
from tests.agent.doubles import ControlPlaneDouble, Upstreams, live, until, withdrawn
from tests.agent.program import Children, Site

KILLER = """
import ctypes, runpy, sys, threading, time
from pathlib import Path
name, order = sys.argv[1], Path(sys.argv[2])
def kill():
    while not order.exists():
        time.sleep(0.02)
    victim = next(thread.ident for thread in threading.enumerate() if thread.name == name)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(victim), ctypes.py_object(SystemExit))
threading.Thread(target=kill, daemon=True).start()
sys.argv = ["agent", *sys.argv[3:]]
runpy.run_module("agent", run_name="__main__")
"""
"""The agent, of which one thread is killed when a file says so; SystemExit ends a thread without a word."""


@pytest.fixture
def site(tmp_path: Path, control_plane: ControlPlaneDouble, children: Children) -> Iterator[Site]:
    site = Site(tmp_path / "state", control_plane, children)
    yield site
    site.gateway.stop()


def works(site: Site, upstream: Upstreams) -> None:
    """It publishes, withdraws and beats."""
    spec = live(port=upstream.port)
    assert [site.push(step)[0].outcome for step in (spec, withdrawn(spec, generation=2))] == [
        Outcome.VERIFIED
    ] * 2
    assert site.gateway.ask(spec.host).status == 410
    beats = len(site.double.heartbeats)
    until(lambda: len(site.double.heartbeats) > beats + 1, description="it beats")
    assert site.process.poll() is None


def test_an_agent_whose_reader_has_ended_goes_on(site: Site, upstream: Upstreams) -> None:
    reading, writing = os.pipe()
    site.start(output=writing)
    os.close(writing)
    assert os.read(reading, 100)
    os.close(reading)
    works(site, upstream)


def test_an_agent_whose_reader_stands_still_goes_on_and_ends_when_told(
    site: Site, upstream: Upstreams
) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    site.start(output=writing)
    for _ in range(5):
        works(site, upstream)
    site.process.terminate()
    assert site.process.wait(timeout=5) == 0
    os.close(reading)
    os.close(writing)


def test_an_agent_whose_log_has_no_room_goes_on(site: Site, upstream: Upstreams) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    site.start(output=full)
    os.close(full)
    works(site, upstream)


@pytest.mark.parametrize("thread", ["work", "post", "pull", "heartbeat", "watch", "server"])
def test_an_agent_that_lost_a_thread_ends_and_says_which(
    site: Site, upstream: Upstreams, tmp_path: Path, thread: str
) -> None:
    order = tmp_path / "order"
    process = site.start(program=("-c", KILLER, thread, str(order)))
    works(site, upstream)
    order.touch()
    with suppress(httpx2.HTTPError):  # what sleeps dies when it wakes
        sealed = site.double.seal(str(site.me.agent_id), live(port=upstream.port), answer_within_ms=100)
        httpx2.post(site.me.url + PATH_COMMANDS, content=sealed.token, trust_env=False, timeout=3)
    assert process.wait(timeout=10) == 1
    assert f"error: A part of the agent has ended ({thread})" in (site.folder / "agent.log").read_text()
    site.start()
    works(site, upstream)
