"""The supervisor and its reaper: what dies is started again, and nothing is ever left running."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from demo.process import ROOT


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """A running stand-in demo."""

    folder: Path
    process: "subprocess.Popen[str]"

    def pids(self) -> dict[str, int]:
        pids: dict[str, int] = json.loads((self.folder / "demo.json").read_text())
        return pids

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def family(self) -> list[psutil.Process]:
        """The living processes of a demo, with the reaper and orphans."""
        return [process for process in psutil.process_iter() if _mark_of(process) == str(self.folder)]


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[StandIn]:
    running = begin(tmp_path)
    assert running.line() == "ready"
    yield running
    for process in running.family():
        process.kill()
    running.process.wait()
    assert running.process.stdout
    running.process.stdout.close()


def begin(folder: Path) -> StandIn:
    argv = [sys.executable, "-m", "tests.demo.standin", str(folder)]
    env = {**os.environ, "STANDIN": str(folder)}
    return StandIn(
        folder=folder,
        process=subprocess.Popen(
            argv, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True
        ),
    )


def _mark_of(process: psutil.Process) -> str:
    try:
        return str(process.environ().get("STANDIN", ""))
    except psutil.Error:
        return ""


def wait_until(is_true: Callable[[], bool], *, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < deadline, f"not within {within_s} s"
        time.sleep(0.02)


def test_a_killed_supervisor_leaves_no_process_within_three_seconds(standin: StandIn) -> None:
    assert (
        len(standin.family()) >= 7
    )  # itself, the reaper, the server, the stubborn pair, the pair in two sessions
    standin.process.kill()
    standin.process.wait()
    wait_until(lambda: standin.family() == [], within_s=3)


def test_a_killed_supervisor_leaves_no_frozen_process_either(standin: StandIn) -> None:
    os.kill(standin.pids()["server"], signal.SIGSTOP)
    standin.process.kill()
    standin.process.wait()
    wait_until(lambda: standin.family() == [], within_s=3)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_within_five_seconds(standin: StandIn, ending: signal.Signals) -> None:
    standin.process.send_signal(ending)
    assert standin.process.wait(timeout=5) == 0
    assert standin.family() == []
    assert standin.line() == "stopped"


def test_a_part_that_dies_is_named_and_runs_again_on_its_port_and_demo_json_is_rewritten(
    standin: StandIn,
) -> None:
    before, ports = standin.pids(), (standin.folder / "ports.json").read_text()
    os.kill(before["server"], signal.SIGKILL)
    assert standin.line().startswith("server was killed by SIGKILL. Starting it again in 1 s")
    assert standin.line().startswith("server runs again (pid ")
    wait_until(lambda: standin.pids()["server"] != before["server"], within_s=1)
    assert {**standin.pids(), "server": 0} == {**before, "server": 0}
    assert (standin.folder / "ports.json").read_text() == ports
    assert (standin.folder / "demo.json").stat().st_mode & 0o777 == 0o600


def test_what_a_dead_part_left_in_its_group_is_ended_before_it_runs_again(standin: StandIn) -> None:
    leader = standin.pids()["stubborn"]
    children = psutil.Process(leader).children()
    os.kill(leader, signal.SIGKILL)
    assert standin.line().startswith("stubborn was killed by SIGKILL")
    wait_until(
        lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children),
        within_s=1,
    )
    assert standin.line().startswith("stubborn runs again")


def test_a_part_that_dies_again_at_once_waits_longer_each_time(standin: StandIn) -> None:
    for delay in (1, 2):
        os.kill(standin.pids()["orphans"], signal.SIGTERM)
        assert standin.line().startswith(f"orphans was killed by SIGTERM. Starting it again in {delay} s")
        assert standin.line().startswith("orphans runs again")
        time.sleep(0.1)


def test_a_killed_reaper_is_replaced_and_knows_everything(standin: StandIn) -> None:
    reaper = next(process for process in standin.family() if "demo.reaper" in process.cmdline())
    reaper.kill()
    wait_until(
        lambda: any(
            "demo.reaper" in process.cmdline() for process in standin.family() if process.pid != reaper.pid
        ),
        within_s=2,
    )
    time.sleep(0.3)
    standin.process.kill()
    standin.process.wait()
    wait_until(lambda: standin.family() == [], within_s=3)


def test_a_second_demo_in_the_same_folder_is_refused_by_name(standin: StandIn) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "demo"],
        cwd=ROOT,
        env={**os.environ, "DEMO_DIR": str(standin.folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert second.stderr == (
        f"Another demo (pid {standin.process.pid}) runs in {standin.folder}. "
        "Stop it, or set DEMO_DIR to another folder.\n"
    )
    assert second.stdout == ""
    assert standin.process.poll() is None


def test_a_demo_started_right_after_a_kill_waits_for_the_last_part_and_keeps_its_ports(
    standin: StandIn,
) -> None:
    ports = (standin.folder / "ports.json").read_text()
    standin.process.kill()
    standin.process.wait()
    again = begin(standin.folder)
    assert again.line() == "ready"
    assert (standin.folder / "ports.json").read_text() == ports
    assert again.process.stdout
    again.process.terminate()
    assert again.process.wait(timeout=5) == 0
    again.process.stdout.close()
