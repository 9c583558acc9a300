"""Calls that hang until a test lets go: no test needs a clock to prove that nobody waits for them."""

import threading
from collections.abc import Iterator

PATIENCE_S = 30.0
"""The end of what a test forgot: far more than anybody may wait, even on a loaded machine."""


class Hang:
    """Callers that enter wait until the test lets go."""

    def __init__(self) -> None:
        self._let_go = threading.Event()
        self._entered = self._was_outlasted = False

    @property
    def lasts(self) -> bool:
        """Whether somebody entered and the wait is not over: who has an answer by now did not wait for it."""
        return self._entered and not self._was_outlasted and not self._let_go.is_set()

    def wait(self) -> None:
        """Wait for the test."""
        for _ in self.steps(every_s=PATIENCE_S):
            pass

    def steps(self, *, every_s: float = 0.1) -> Iterator[None]:
        """Wait in steps, for a caller that does a little after each."""
        self._entered = True
        for _ in range(round(PATIENCE_S / every_s)):
            yield
            if self._let_go.wait(every_s):
                return
        self._was_outlasted = True

    def let_go(self) -> None:
        """Everybody goes on."""
        self._let_go.set()
