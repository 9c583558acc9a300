"""Hands in results that no command waits for any more, and says every two seconds that long work goes on. Never touches the gateway."""

import threading
import time
from collections.abc import Iterable

import structlog

from agent.control_plane import ControlPlane, ControlPlaneFailed
from agent.protocol.messages import Result
from agent.work import Ticket

PROGRESS_S = 2.0
GIVE_UP_S = 60.0
"""After that the heartbeat has long told what is carried, and the control plane asks again for what is not."""

log = structlog.get_logger()


class Postman:
    """Follows tickets to their end. Start it with `start`; it goes on until `stop`."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._control_plane = control_plane
        self._wake = threading.Condition()
        self._followed: dict[int, tuple[Ticket, float]] = {}
        self._stopping = False
        self._nudged = False
        self.thread = threading.Thread(target=self._run, name="post", daemon=True)

    def start(self) -> None:
        """Begin."""
        self.thread.start()

    def stop(self) -> None:
        """End without handing in the rest: heartbeats will."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()

    def follow(self, tickets: Iterable[Ticket]) -> None:
        """Hand in their results when they come."""
        now = time.monotonic()
        with self._wake:
            self._followed.update({id(ticket): (ticket, now) for ticket in tickets})
        self.nudge()

    def nudge(self) -> None:
        """Some job ended: look."""
        with self._wake:
            self._nudged = True
            self._wake.notify_all()

    def _run(self) -> None:
        back_off, last_progress = 0.0, time.monotonic()
        while not self._stopping:
            self._pause(back_off)
            tickets = [ticket for ticket, _ in self._followed.copy().values()]
            done = [ticket for ticket in tickets if ticket.job.done.is_set()]
            progress_due = time.monotonic() - last_progress >= PROGRESS_S
            working = [ticket for ticket in tickets if ticket.item.delivery and ticket not in done] if progress_due else []
            last_progress = time.monotonic() if progress_due else last_progress
            back_off = self._hand_in(done, working, back_off)

    def _pause(self, back_off: float) -> None:
        with self._wake:
            if back_off:
                self._wake.wait_for(lambda: self._stopping, timeout=back_off)
            else:
                self._wake.wait_for(lambda: self._nudged or self._stopping, timeout=PROGRESS_S if self._followed else None)
            self._nudged = False

    def _hand_in(self, done: list[Ticket], working: list[Ticket], back_off: float) -> float:
        """Returns how long to wait before the next try, in seconds (0 after a success)."""
        results: list[Result] = [ticket.result for ticket in (*done, *working)]
        if not results:
            return 0.0
        try:
            self._control_plane.results(results)
        except ControlPlaneFailed as problem:
            log.warning("results_not_handed_in", count=len(results), reason=str(problem), code=problem.code)
            self._forget([ticket for ticket in done if time.monotonic() - self._followed[id(ticket)][1] > GIVE_UP_S])
            return min(max(1.0, back_off * 2), 8.0)
        self._forget(done)
        return 0.0

    def _forget(self, tickets: list[Ticket]) -> None:
        with self._wake:
            for ticket in tickets:
                self._followed.pop(id(ticket), None)
