"""PostgreSQL and Valkey from their wheels: they start, ask for their password, and stop.

As root in both ways, and as any other user.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from demo import embedded
from demo.embedded import AS_NOBODY, NOBODY, NOT_DURABLE, Postgres, Valkey, envoy_binary
from demo.folder import free_port
from demo.process import ROOT, DemoRefused
from demo.supervisor import Supervisor

ONE_ROUND = """
import os, sys
from pathlib import Path
from demo.embedded import Postgres
from demo.folder import free_port
from demo.supervisor import Supervisor
home = Path(sys.argv[1])
server = Postgres(home=home / "postgres", port=free_port(), password="secret", env=dict(os.environ))
supervisor = Supervisor(home / "log", say=print)
supervisor.launch(server.part(supervisor))
supervisor.settle()
supervisor.stop()
print(os.geteuid(), (home / "postgres" / "data").stat().st_uid)
"""

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="about being root")


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "log", say=print)
    yield supervisor
    supervisor.stop()


def postgres(home: Path) -> Postgres:
    return Postgres(
        home=home, port=free_port(), password="secret", env=dict(os.environ), settings=NOT_DURABLE
    )


def test_postgres_starts_as_the_process_that_was_started_and_keeps_its_data(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    server = postgres(tmp_path / "postgres")
    supervisor.launch(server.part(supervisor))
    supervisor.settle()
    assert psutil.Process(supervisor.pids()["postgres"]).name() == "postgres"
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept (n int)")
    supervisor.stop()
    assert not psutil.pid_exists(supervisor.pids()["postgres"])

    again = Supervisor(tmp_path / "log", say=print)
    again.launch(server.part(again))
    again.settle()
    with psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    again.stop()


def test_postgres_lets_nobody_in_without_the_password(supervisor: Supervisor, tmp_path: Path) -> None:
    server = postgres(tmp_path / "postgres")
    supervisor.launch(server.part(supervisor))
    supervisor.settle()
    for wrong in (server.url.replace(":secret@", ":wrong@"), server.url.replace(":secret@", "@")):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(wrong)
    assert not list((tmp_path / "postgres").glob("password"))


@only_root
def test_root_without_user_namespaces_runs_postgres_as_nobody(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "WAYS_FOR_ROOT", (AS_NOBODY,))
    server = postgres(tmp_path / "postgres")
    supervisor.launch(server.part(supervisor))
    supervisor.settle()
    process = psutil.Process(supervisor.pids()["postgres"])
    assert (process.name(), process.uids().effective) == ("postgres", NOBODY)


@only_root
def test_data_made_in_one_way_is_used_in_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server, rounds = postgres(tmp_path / "postgres"), []
    for ways in (embedded.WAYS_FOR_ROOT, (AS_NOBODY,), embedded.WAYS_FOR_ROOT):
        monkeypatch.setattr(embedded, "WAYS_FOR_ROOT", ways)
        supervisor = Supervisor(tmp_path / "log", say=print)
        supervisor.launch(server.part(supervisor))
        supervisor.settle()
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS rounds (id int GENERATED ALWAYS AS IDENTITY)")
            rounds += connection.execute("INSERT INTO rounds DEFAULT VALUES RETURNING id").fetchall()
        supervisor.stop()
    assert rounds == [(1,), (2,), (3,)]


@only_root
def test_root_that_can_become_nobody_in_no_way_is_told_so(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "WAYS_FOR_ROOT", ())
    with pytest.raises(DemoRefused, match="Use an ordinary user"):
        postgres(tmp_path / "postgres").part(supervisor)


@only_root
def test_an_ordinary_user_runs_postgres_as_itself(tmp_path: Path) -> None:
    os.chown(tmp_path, NOBODY, NOBODY)
    # AS_NOBODY leaves it one right of root's, to read this checkout wherever it lies.
    finished = subprocess.run(
        [*AS_NOBODY.prefix, sys.executable, "-c", ONE_ROUND, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.stdout, finished.returncode) == (f"{NOBODY} {NOBODY}\n", 0), finished.stderr


def test_valkey_starts_asks_for_its_password_and_stops(supervisor: Supervisor, tmp_path: Path) -> None:
    broker = Valkey(home=tmp_path / "broker", port=free_port(), password="secret", env=dict(os.environ))
    supervisor.launch(broker.part())
    supervisor.settle()
    with redis.Redis.from_url(broker.url) as client:
        assert client.ping() is True
    with socket.create_connection(("127.0.0.1", broker.port)) as stranger:
        stranger.sendall(b"PING\r\n")
        assert stranger.recv(100).startswith(b"-NOAUTH")
    pid = supervisor.pids()["broker"]
    assert "secret" not in " ".join(psutil.Process(pid).cmdline())
    supervisor.stop()
    assert not psutil.pid_exists(pid)


def test_envoy_is_the_program_itself() -> None:
    with envoy_binary().open("rb") as program:
        assert program.read(4) in {b"\x7fELF", b"\xcf\xfa\xed\xfe"}
