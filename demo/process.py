"""One part as a process: started in a session of its own, logged to a file.

The reaper knows the process before it becomes the program.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from demo.reaper import Reaper, announcement

ROOT = Path(__file__).resolve().parent.parent
LOG_LIMIT_BYTES = 20_000_000
TAIL_LINES = 15


class DemoRefused(Exception):
    """The demo cannot run; the text is all that the person is shown."""


def without_check() -> bool:
    """The readiness of a part that is ready once it runs."""
    return True


@dataclass(frozen=True, kw_only=True)
class Part:
    """A program to run: its command, the sign that it is ready, and the signal that ends it in good order."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    is_ready: Callable[[], bool] = without_check
    ending: signal.Signals = signal.SIGTERM


@dataclass(kw_only=True)
class Running:
    """A part and its process, dead or alive.

    `due` is set while it is dead: when to start it again, by the monotonic clock.
    """

    part: Part
    process: "subprocess.Popen[bytes]"
    log: Path
    since: float
    ready: bool = False
    failures: int = 0
    due: float | None = None

    @property
    def is_dead(self) -> bool:
        """True once the process has ended."""
        return self.process.poll() is not None

    def end_text(self) -> str:
        """For a sentence: `was killed by SIGKILL`, `ended with exit code 1`."""
        code = self.process.returncode
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def refusal(self, *, action: str) -> DemoRefused:
        """An error that names the part and shows the end of its log."""
        tail = "\n".join(f"    {line}" for line in self._last_lines())
        return DemoRefused(f"{self.part.name} {action}. The end of {self.log}:\n{tail or '    (empty)'}")

    def trim_log(self) -> None:
        """Keep a log that has grown too long as `.1`, and empty it.

        Parts append, so they write on at its start.
        """
        if self.log.stat().st_size > LOG_LIMIT_BYTES:
            shutil.copyfile(self.log, older(self.log))
            os.truncate(self.log, 0)

    def _last_lines(self) -> list[str]:
        with suppress(OSError):
            return self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        return []


def older(log: Path) -> Path:
    """The path of the previous log."""
    return log.with_name(f"{log.name}.1")


def spawn(part: Part, *, log: Path, reaper: Reaper) -> "subprocess.Popen[bytes]":
    """Start a part.

    From the main thread only: other threads' locks would stay locked in the child until it is its program.
    """
    reaper.ensure()
    announce = partial(_announce, reaper.pipe, part.ending)
    with log.open("ab") as output:
        process = subprocess.Popen(
            part.argv,
            cwd=ROOT,
            env=part.env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=announce,  # noqa: PLW1509 (only so is there no moment in which more runs than the reaper knows of)
        )
    reaper.remember(process.pid, ending=part.ending)
    return process


def _announce(pipe: int, ending: signal.Signals) -> None:
    os.write(pipe, announcement(os.getpid(), ending=ending))
