"""A small demo for the tests: `python -m tests.demo.standin FOLDER` supervises three parts."""

import json
import os
import sys
from functools import partial
from pathlib import Path

from demo.__main__ import interruptible
from demo.embedded import is_listening
from demo.folder import Folder, Ports, write_private
from demo.process import Part
from demo.reaper import ignore_endings
from demo.supervisor import Supervisor

STUBBORN = "trap '' TERM INT; sleep 1000 & wait; sleep 1000"
WITH_ORPHANS = "setsid sleep 1000 & exec sleep 1000"


def parts(folder: Folder) -> tuple[Part, ...]:
    """One that serves, one that ignores signals and has a child, one with a child in another session."""
    port, env = Ports(folder.path("ports.json"), web=1)["server"], dict(os.environ)
    return (
        Part(
            name="server",
            argv=(sys.executable, "-m", "demo.upstreams", f"sample={port}"),
            env=env,
            is_ready=partial(is_listening, port),
        ),
        Part(name="stubborn", argv=("sh", "-c", STUBBORN), env=env),
        Part(name="orphans", argv=("sh", "-c", WITH_ORPHANS), env=env),
    )


def say(line: str) -> None:
    """Print for the test that started this process."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(root: Path) -> None:
    """Run until a signal comes."""
    interruptible()
    folder = Folder(root)
    supervisor = Supervisor(folder.path("log"), say=say, lock=folder.lock)

    def note() -> None:
        write_private(folder.path("demo.json"), text=json.dumps(supervisor.pids()))

    try:
        supervisor.launch(*parts(folder))
        supervisor.settle()
        note()
        say("ready")
        supervisor.watch(goes_on=lambda: True, changed=note)
    except KeyboardInterrupt:
        say("stopped")
    finally:
        ignore_endings()
        supervisor.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
