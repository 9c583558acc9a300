"""The demo keeps its folder from run to run, and says why when it cannot start."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from demo.__main__ import Options, _run
from demo.folder import PORTS, Folder, Ports, free_port, write_private
from demo.process import ROOT, DemoRefused
from demo.system import System


def run_demo(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "demo", *arguments]
    return subprocess.run(
        argv,
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )


def test_ports_stay_the_same_from_run_to_run(tmp_path: Path) -> None:
    names = ("postgres", "broker", "dev-1-listen")
    first, second = (Ports(tmp_path / "ports.json", web=8000) for _ in range(2))
    chosen = [first[name] for name in names]
    assert len(set(chosen)) == 3
    assert all(port in PORTS for port in chosen)
    assert [Ports(tmp_path / "ports.json", web=8000)[name] for name in names] == chosen
    assert second["web"] == 8000


def test_a_port_that_somebody_took_meanwhile_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    ports = Ports(tmp_path / "ports.json", web=8000)
    postgres, broker = ports["postgres"], ports["broker"]
    with socket.create_server(("127.0.0.1", postgres)):
        later = Ports(tmp_path / "ports.json", web=8000)
        assert later["postgres"] != postgres
        assert later["broker"] == broker


def test_the_web_port_is_never_given_to_another_part(tmp_path: Path) -> None:
    postgres = Ports(tmp_path / "ports.json", web=8000)["postgres"]
    assert Ports(tmp_path / "ports.json", web=postgres)["postgres"] != postgres


def test_secrets_are_made_once_and_are_ours_alone(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "demo")
    secret = folder.secret("secret-key")
    assert len(secret) >= 50
    assert folder.secret("secret-key") == secret
    assert (tmp_path / "demo" / "secrets" / "secret-key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "demo").stat().st_mode & 0o777 == 0o700
    os.close(folder.lock)


def test_a_private_file_is_replaced_whole_and_private_even_over_an_open_one(tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    path.touch(mode=0o644)
    write_private(path, text="{}")
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["demo.json"]


def test_reset_removes_the_demos_data_and_nothing_else(tmp_path: Path) -> None:
    for name in ("postgres/data/x", "agents/dev-1/key.json", "ports.json", "mine.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    finished = run_demo("--reset", DEMO_DIR=str(tmp_path))
    assert (finished.stdout, finished.returncode) == (f"Emptied {tmp_path}.\n", 0)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["lock", "mine.txt"]


def test_reset_is_refused_while_a_demo_runs_there(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    (tmp_path / "ports.json").write_text(json.dumps({"postgres": 20_000}))
    finished = run_demo("--reset", DEMO_DIR=str(tmp_path))
    os.close(folder.lock)
    assert finished.returncode == 1
    assert finished.stderr == (
        f"Another demo (pid {os.getpid()}) runs in {tmp_path}. Stop it, or set DEMO_DIR to another folder.\n"
    )
    assert (tmp_path / "ports.json").exists()


def test_a_taken_port_is_named_with_the_way_out_and_nothing_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other_server:
        port = other_server.getsockname()[1]
        finished = run_demo(DEMO_DIR=str(tmp_path), PORT=str(port))
    assert (finished.stdout, finished.returncode) == ("", 1)
    assert (
        finished.stderr
        == f"Port {port} is taken by another program. Choose another one: PORT={port + 1} make demo\n"
    )
    assert [entry.name for entry in tmp_path.iterdir()] == ["lock"]


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_a_port_that_is_none_is_refused(tmp_path: Path, port: str) -> None:
    finished = run_demo(DEMO_DIR=str(tmp_path), PORT=port)
    assert (finished.stdout, finished.stderr, finished.returncode) == (
        "",
        f"PORT={port} is not a port number.\n",
        1,
    )


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finished = run_demo(DEMO_DIR=str(tmp_path / "file" / "demo"))
    assert finished.returncode == 1
    assert (
        finished.stderr
        == f"The demo cannot use {tmp_path}/file/demo: [Errno 20] Not a directory: '{tmp_path}/file/demo'\n"
    )


def test_a_port_taken_after_it_was_chosen_is_named_and_another_one_is_chosen(tmp_path: Path) -> None:
    ports = Ports(tmp_path / "ports.json", web=8000)
    postgres, broker = ports["postgres"], ports["broker"]
    assert [port for port in ports.lost() if port != 8000] == []
    with socket.create_server(("127.0.0.1", postgres)):
        assert [port for port in ports.lost() if port != 8000] == [postgres]
        again = Ports(tmp_path / "ports.json", web=8000)
        assert (again["postgres"] != postgres, again["broker"]) == (True, broker)


class Ended(Exception):
    """Another process has taken this one's place."""


@pytest.mark.parametrize(
    ("start", "port_is_lost", "goes_on"),
    [("1", True, True), ("2", True, True), ("3", True, False), ("1", False, False)],
)
def test_a_start_that_lost_a_port_is_made_again_twice_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str, port_is_lost: bool, goes_on: bool
) -> None:
    folder, starts = Folder(tmp_path), list[str]()

    def refuse(system: System) -> None:
        system._supervisor.stop()
        raise DemoRefused("upstreams ended with exit code 1")

    def take_place(_program: str, argv: list[str], environ: dict[str, str]) -> None:
        starts.append(environ["DEMO_START"])
        assert argv[1:] == ["-m", "demo"]
        raise Ended

    monkeypatch.setenv("DEMO_START", start)
    monkeypatch.setattr(System, "run", refuse)
    monkeypatch.setattr(os, "execve", take_place)
    port = Ports(folder.path("ports.json"), web=8000)["upstream-billing"]
    monkeypatch.setattr(System, "lost_ports", lambda _system: [port] if port_is_lost else [])
    with pytest.raises(Ended if goes_on else DemoRefused):
        _run(folder, Options(folder=tmp_path, port=free_port()))
    assert starts == ([str(int(start) + 1)] if goes_on else [])
