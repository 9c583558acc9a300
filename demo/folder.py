"""The demo's folder: its lock, and the files kept from one run to the next."""

import fcntl
import json
import os
import random
import secrets
import shutil
import socket
import time
from pathlib import Path

from demo.process import DemoRefused
from demo.reaper import GRACE_S

PORTS = range(20_000, 30_000)
"""Below the range of outgoing connections: a dead part's port is still free when the part starts again."""

OWN_NAMES = (
    "agents",
    "broker",
    "environment.json",
    "log",
    "postgres",
    "secrets",
    "seed",
    "static",
    "demo.json",
    "ports.json",
)


class Folder:
    """A folder that this process alone has locked; `path` names its content."""

    def __init__(self, root: Path) -> None:
        """Make and lock the folder.

        Raises DemoRefused when another demo runs in it, OSError when it cannot be written.
        """
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root = root
        self.lock = _locked(root)

    def path(self, name: str) -> Path:
        """The path of an entry of OWN_NAMES, or of a file inside one."""
        return self.root / name

    def secret(self, name: str) -> str:
        """A random text, made once."""
        path = self.path("secrets") / name
        if not path.exists():
            write_private(path, text=secrets.token_urlsafe(48))
        return path.read_text()

    def empty(self) -> None:
        """Remove the files of demos and nothing else: the folder may be somebody's home."""
        for name in OWN_NAMES:
            path = self.path(name)
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


class Ports:
    """Port numbers by name: the same as in the last run where they are still free."""

    def __init__(self, path: Path, *, web: int) -> None:
        """`path` is the file that keeps the ports; `web` is the port that the person chose."""
        self._path = path
        self._last: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
        self._taken = {"web": web}

    def __getitem__(self, name: str) -> int:
        """The port of this name, free when first asked for in this run."""
        if name not in self._taken:
            self._taken[name] = self._choose(name)
            write_private(self._path, text=json.dumps(self._last | self._taken, indent=2))
        return self._taken[name]

    def lost(self) -> list[int]:
        """The ports of this run that another program has now. To be called while none of our parts runs."""
        return [port for port in self._taken.values() if not is_free(port)]

    def _choose(self, name: str) -> int:
        last = self._last.get(name)
        if last and last not in self._taken.values() and is_free(last):
            return last
        return free_port(avoid={*self._last.values(), *self._taken.values()})


def free_port(*, avoid: set[int] | None = None) -> int:
    """A loopback port that nobody listens on."""
    while True:
        port = random.choice(PORTS)  # noqa: S311 (not a secret)
        if port not in (avoid or set()) and is_free(port):
            return port


def is_free(port: int) -> bool:
    """True when a server could listen on this loopback port. Raises PermissionError when only root may."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise
        except OSError:
            return False
        return True


def write_private(path: Path, *, text: str) -> None:
    """Write a file that only we may read, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


def _locked(root: Path) -> int:
    # Open until the end. The reaper inherits it, so a killed demo lets go only after its last part has ended.
    lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + GRACE_S + 2
    while not _try_lock(lock):
        if time.monotonic() > deadline or _is_running(owner := os.pread(lock, 20, 0).decode()):
            raise DemoRefused(
                f"Another demo{f' (pid {owner})' if owner else ''} runs in {root}. "
                "Stop it, or set DEMO_DIR to another folder."
            )
        time.sleep(0.05)
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_running(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
