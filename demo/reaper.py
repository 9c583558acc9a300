"""Ends process groups; as a program it ends all of the demo's once the supervisor is gone, however it went.

`python -m demo.reaper` runs in a session of its own and reads its standard input, a pipe that only the
supervisor writes to: `+ GROUP SIGNAL` for each part before it becomes its program, `- GROUP` when it has
ended. The end of the pipe is the supervisor's end.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress

import psutil

GRACE_S = 2.0
"""How long a group may take to end by itself before SIGKILL."""

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals by which a person or a system asks the demo to end."""


class Reaper:
    """The supervisor's end of the pipe. A reaper that was killed is replaced and told everything again."""

    def __init__(self, *, lock: int | None = None) -> None:
        """`lock` is a locked file descriptor that the reaper holds too: nobody takes the folder before it is
        done.
        """
        self._lock = lock
        self._groups: dict[int, signal.Signals] = {}
        self._process = self._begin()

    def ensure(self) -> None:
        """Replace a reaper that has died."""
        if self._process.poll() is None:
            return
        self._close_pipe()
        self._process = self._begin()
        for group, ending in self._groups.items():
            os.write(self.pipe, announcement(group, ending=ending))

    @property
    def pipe(self) -> int:
        """The pipe through which a part announces itself."""
        assert self._process.stdin is not None  # noqa: S101 (always made with a pipe)
        return self._process.stdin.fileno()

    def remember(self, group: int, *, ending: signal.Signals) -> None:
        """Note a group that has announced itself."""
        self._groups[group] = ending

    def forget(self, group: int) -> None:
        """A group has ended: its number may soon be somebody else's."""
        if self._groups.pop(group, None) is not None:
            with suppress(BrokenPipeError):
                os.write(self.pipe, b"- %d\n" % group)

    def close(self) -> None:
        """Let the reaper go; it ends every process that it was not told to forget."""
        self._close_pipe()
        self._process.wait()

    def _close_pipe(self) -> None:
        assert self._process.stdin is not None  # noqa: S101
        self._process.stdin.close()

    def _begin(self) -> "subprocess.Popen[bytes]":
        inherited = () if self._lock is None else (self._lock,)
        argv = [sys.executable, "-m", "demo.reaper"]
        return subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
            pass_fds=inherited,
        )


def announcement(group: int, *, ending: signal.Signals) -> bytes:
    """The line that tells the reaper of a group. Shorter than PIPE_BUF, so lines never mix."""
    return b"+ %d %d\n" % (group, ending)


def end(groups: Mapping[int, signal.Signals], *, grace_s: float = GRACE_S) -> None:
    """End process groups: each by its signal, then by SIGKILL, with descendants in other sessions."""
    members = [process for group in groups for process in _family(group)]
    for group, ending in groups.items():
        signal_group(group, ending)
    psutil.wait_procs(members, timeout=grace_s)
    for group in groups:
        signal_group(group, signal.SIGKILL)
    for process in members:
        with suppress(psutil.Error):
            process.kill()


def signal_group(group: int, number: signal.Signals) -> None:
    """Signal a process group, if it still exists."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def ignore_endings() -> None:
    """Ignore every signal from now on; SIGKILL alone ends this process."""
    for ending in ENDINGS:
        signal.signal(ending, signal.SIG_IGN)


def _family(leader: int) -> list[psutil.Process]:
    # PostgreSQL's children have sessions of their own: a frozen one would outlive the group.
    try:
        process = psutil.Process(leader)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _remaining_groups(lines: Iterable[bytes]) -> dict[int, signal.Signals]:
    groups: dict[int, signal.Signals] = {}
    for line in lines:
        verb, group, *ending = line.split()
        if verb == b"+":
            groups[int(group)] = signal.Signals(int(ending[0]))
        else:
            groups.pop(int(group), None)
    return groups


def main() -> None:
    """Read until the supervisor has ended, then end the remaining processes."""
    ignore_endings()
    end(_remaining_groups(sys.stdin.buffer))


if __name__ == "__main__":
    main()
