"""Run the tests of a mutant in a copy of the tree with its own database; the servers are shared."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from queue import Queue

import psycopg

from tests.mutants.table import Mutant
from tests.servers import ENVIRONMENT, start_servers, write_signing_key

ROOT = Path(__file__).resolve().parents[2]
TIME_OUT_S = 240.0
"""How long the tests of one mutant may take. Who takes longer hangs, and is caught."""

PYTEST = (sys.executable, "-m", "pytest", "-q", "-rfE", "--reuse-db", "--tb=short", "--show-capture=no")
# Not needed for a few files, and slow to load.
OFF = [
    flag for name in ("randomly", "cacheprovider", "xdist", "schemathesis") for flag in ("-p", f"no:{name}")
]
PASSED, FAILED = 0, 1


class CannotJudge(Exception):
    """The tests neither passed nor failed: the bug breaks an import, or the tests are not there."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The result of a mutant's tests: `caught_by` names the first that failed, and is empty when none did."""

    caught_by: str
    seconds: float
    output: str


class Workshop:
    """Made with `opened`. `judge` may be called from as many threads as there are `seats`."""

    def __init__(self, home: Path, *, seats: int, env: Mapping[str, str]) -> None:
        self._clean, self._home, self._env = home / "clean", home, env
        self._numbers = count(1)
        self._seats: Queue[int] = Queue()
        for seat in range(seats):
            self._seats.put(seat)

    def prepare(self) -> None:
        """Copy the tree, compile it once for all copies, and migrate the database that all others copy."""
        copy_tree(self._clean)
        subprocess.run(
            (sys.executable, "-m", "compileall", "-q", "."), cwd=self._clean, check=True, capture_output=True
        )
        self._sql("CREATE DATABASE clean")
        migrate = (sys.executable, "-W", "ignore", "manage.py", "migrate", "--verbosity", "0")
        subprocess.run(migrate, cwd=self._clean, env=self._env_of("clean", seat=0), check=True)

    def judge(self, mutant: Mutant) -> Verdict:
        """Plant it in a copy of its own, and run its tests there. Raises CannotPlant or CannotJudge."""
        return self._run(mutant.tests, mutant)

    def judge_unmutated(self, tests: Sequence[str]) -> Verdict:
        """Run all tests of the mutants without a bug. Raises CannotJudge."""
        return self._run(tests, None)

    def _run(self, tests: Sequence[str], mutant: Mutant | None) -> Verdict:
        name, seat = f"copy{next(self._numbers)}", self._seats.get()
        folder = self._home / name
        try:
            shutil.copytree(self._clean, folder)
            if mutant:
                plant(mutant, folder)
            self._sql(f"CREATE DATABASE test_{name} TEMPLATE clean")
            return _verdict(folder, tests, env=self._env_of(name, seat=seat), is_mutated=mutant is not None)
        finally:
            self._sql(f"DROP DATABASE IF EXISTS test_{name} WITH (FORCE)")
            shutil.rmtree(folder, ignore_errors=True)
            self._seats.put(seat)

    def _env_of(self, database: str, *, seat: int) -> dict[str, str]:
        servers = {
            name: f"{self._env[name].rpartition('/')[0]}/{own}"
            for name, own in (("DATABASE_URL", database), ("REDIS_URL", seat))
        }
        return {**self._env, **servers}

    def _sql(self, statement: str) -> None:
        with psycopg.connect(self._env["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def opened(*, seats: int) -> Iterator[Workshop]:
    """A workshop whose servers and copies are removed at the end."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imp-mutants-")))
        home.chmod(0o755)
        static = home / "static"
        static.mkdir()
        key = write_signing_key(home)
        env = {**os.environ, **ENVIRONMENT, "SIGNING_KEY_FILE": str(key), "STATIC_ROOT": str(static)}
        urls = start_servers(home, env=env, at_end=stack.callback)
        workshop = Workshop(home, seats=seats, env={**env, **urls})
        workshop.prepare()
        yield workshop


def plant(mutant: Mutant, folder: Path) -> None:
    """Write the bug into a copy of the tree. Raises CannotPlant."""
    path = folder / mutant.file
    path.write_text(mutant.planted_in(path.read_text(encoding="utf-8")), encoding="utf-8")
    # Python compares only seconds and size with the compiled file; a small change may leave both as they are.
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        compiled.unlink()


def copy_tree(folder: Path) -> None:
    """Copy the working tree's files that git tracks or would add, and the compiled texts."""
    command = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    tracked = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    texts = (str(path.relative_to(ROOT)) for path in (ROOT / "locale").rglob("*.mo"))
    for name in (*filter(None, tracked), *texts):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def _verdict(folder: Path, tests: Sequence[str], *, env: Mapping[str, str], is_mutated: bool) -> Verdict:
    started, output = time.monotonic(), folder / "output.txt"
    with output.open("wb") as out:
        running = subprocess.Popen(
            (*PYTEST, *OFF, *(["-x"] if is_mutated else []), *tests),
            cwd=folder,
            env=env,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            code: int | None = running.wait(TIME_OUT_S if is_mutated else None)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()
    text, seconds = output.read_text(encoding="utf-8", errors="replace"), time.monotonic() - started
    if code is None:
        return Verdict(caught_by=f"a hang of more than {TIME_OUT_S:.0f} s", seconds=seconds, output=text)
    if code not in (PASSED, FAILED):
        raise CannotJudge(f"pytest ended with {code}:\n{text}")
    failures = re.findall(r"^(?:FAILED|ERROR) (\S+)", text, re.MULTILINE)
    return Verdict(caught_by=failures[0] if code == FAILED else "", seconds=seconds, output=text)
