"""What becomes of pushes between workers and agents, and a log that lets nothing pass."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from agent.protocol.messages import Command
from tests.machine.stepped import SteppedAgent


class Push(StrEnum):
    """What becomes of one push of a worker."""

    WELL = "well"
    LOST = "lost"
    LATE = "late"  # the worker gives up; the agent gets it when the test wants
    SLOW = "slow"  # the agent says that it works on it
    ANSWER_LOST = "answer lost"
    WORKER_DIES_BEFORE = "worker dies before"
    WORKER_DIES_AFTER = "worker dies after"


@dataclass(frozen=True)
class Delayed:
    """A command that has not arrived yet."""

    to: SteppedAgent
    command: Command


class Bugs:
    """A log that lets no bug pass as a line."""

    def exception(self, event: str, **about: object) -> None:
        """Called from handlers that go on after a bug: here it ends the run."""
        raise AssertionError(f"{event}: {about}")

    def __getattr__(self, _level: str) -> Callable[..., None]:
        return lambda *_args, **_about: None
