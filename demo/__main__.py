"""`python -m demo` runs the whole system in the foreground; `python -m demo --reset` empties its folder.

DEMO_DIR and PORT are its settings. KONG_ADMIN_URL and KONG_PROXY_URL name a Kong of your own; KONG_ALONE=1
says that no other node uses that Kong's database.
"""

import argparse
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from demo.folder import Folder, is_free
from demo.own_kong import OwnKong, take_back
from demo.process import ROOT, DemoRefused
from demo.reaper import ENDINGS
from demo.system import System

MOST_STARTS = 3
_START = "DEMO_START"
"""The number of this start, for the process that replaces ours when a port was lost."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The person's settings."""

    folder: Path
    port: int
    kong: OwnKong | None = None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Options":
        """From the environment, an empty value being none. Raises DemoRefused."""
        text = environ.get("PORT") or "8000"
        if not text.isdecimal() or not 0 < int(text) < 65_536:
            raise DemoRefused(f"PORT={text} is not a port number.")
        return cls(
            folder=Path(environ.get("DEMO_DIR") or ROOT / "var").resolve(),
            port=int(text),
            kong=OwnKong.of(environ),
        )


def main() -> int:
    """Run the demo, or empty its folder; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m demo", description="The whole system on this machine, for trying out."
    )
    parser.add_argument("--reset", action="store_true", help="empty the demo's folder instead")
    reset = parser.parse_args().reset
    interruptible()
    try:
        _use(Options.of(os.environ), reset=reset)
    except KeyboardInterrupt:
        _say("Stopped.")
    except DemoRefused as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    return 0


def interruptible() -> None:
    """Let SIGTERM and a closed terminal end the program as Ctrl-C does, even where SIGINT was ignored at its
    start.
    """
    for ending in ENDINGS:
        signal.signal(ending, signal.default_int_handler)


def _use(options: Options, *, reset: bool) -> None:
    try:
        folder = Folder(options.folder)
        if reset:
            for url in take_back(folder.path("agents")):
                _say(f"Took everything of ours off the Kong at {url}.")
            folder.empty()
            _say(f"Emptied {folder.root}.")
        else:
            _run(folder, options)
    except OSError as problem:
        raise DemoRefused(f"The demo cannot use {options.folder}: {problem}") from problem


def _run(folder: Folder, options: Options) -> None:
    _refuse_taken(options.port)
    if options.kong:
        options.kong.check()
    _say(f"The demo starts in {folder.root} ...")
    system = System(folder, port=options.port, say=_say, kong=options.kong)
    try:
        system.run()
    except DemoRefused:
        lost, start = system.lost_ports(), int(os.environ.get(_START, "1"))
        if not lost or start >= MOST_STARTS:
            raise
        _say(
            f"Another program took port {', '.join(map(str, lost))} in the meantime. "
            "Starting again with another one ..."
        )
        # A process of its own: Django is set up once, with the ports of this start.
        os.execve(sys.executable, [sys.executable, "-m", "demo"], os.environ | {_START: str(start + 1)})  # noqa: S606 - ourselves


def _refuse_taken(port: int) -> None:
    try:
        free = is_free(port)
    except PermissionError as problem:
        raise DemoRefused(
            f"Port {port} needs more rights than you have. Choose another one: PORT={port + 8000} make demo"
        ) from problem
    if not free:
        raise DemoRefused(
            f"Port {port} is taken by another program. Choose another one: PORT={port + 1} make demo"
        )


def _say(line: str) -> None:
    with suppress(OSError):  # the terminal may be gone
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
