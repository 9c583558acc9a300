"""Hands in results that no command waits for any more, and every two seconds reports that work goes on.

Never touches the gateway.
"""

import threading
import time
from collections.abc import Iterable

import structlog

from agent.control_plane.client import ControlPlane, ControlPlaneFailed
from agent.protocol.messages import Outcome
from agent.work.worker import Ticket

PROGRESS_S = 2.0
GIVE_UP_S = 60.0
"""Seconds. By then a heartbeat has reported all verified specs, and the control plane sends the rest again.
"""

RESULTS_AT_ONCE = 100
"""Few enough that the control plane records them before the request times out."""

log = structlog.get_logger()


class Postman:
    """Follows tickets to their end, from `start` until `stop`."""

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
        """Hand in the results of these tickets as they come."""
        now = time.monotonic()
        with self._wake:
            self._followed.update({id(ticket): (ticket, now) for ticket in tickets})
        self.nudge()

    def nudge(self) -> None:
        """Look for finished jobs now."""
        with self._wake:
            self._nudged = True
            self._wake.notify_all()

    def _run(self) -> None:
        back_off, last_progress = 0.0, time.monotonic()
        while not self._stopping:
            self._pause(back_off)
            finished, working = self._sorted()
            if time.monotonic() - last_progress < PROGRESS_S:
                working = []
            else:
                last_progress = time.monotonic()
            back_off = self._hand_in([*finished, *working], back_off)

    def _sorted(self) -> tuple[list[Ticket], list[Ticket]]:
        """The finished tickets, and the unfinished ones of which a delivery waits for news."""
        finished, working = list[Ticket](), list[Ticket]()
        for ticket, _ in self._followed.copy().values():
            if ticket.job.finished.is_set():
                finished.append(ticket)
            elif ticket.item.delivery:
                working.append(ticket)
        return finished, working

    def _pause(self, back_off: float) -> None:
        with self._wake:
            if back_off:
                self._wake.wait_for(lambda: self._stopping, timeout=back_off)
            else:
                self._wake.wait_for(
                    lambda: self._nudged or self._stopping, timeout=PROGRESS_S if self._followed else None
                )
            self._nudged = False

    def _hand_in(self, tickets: list[Ticket], back_off: float) -> float:
        """Send results; returns the back-off before the next try, in seconds (0 after a success).

        Results that were sent before a failure are not sent again.
        """
        for start in range(0, len(tickets), RESULTS_AT_ONCE):
            results = [(ticket, ticket.result) for ticket in tickets[start : start + RESULTS_AT_ONCE]]
            try:
                self._control_plane.results([result for _, result in results])
            except ControlPlaneFailed as problem:
                log.warning(
                    "results_not_handed_in",
                    count=len(tickets) - start,
                    reason=str(problem),
                    code=problem.code,
                )
                self._give_up(tickets[start:])
                return min(max(1.0, back_off * 2), 8.0)
            self._forget([ticket for ticket, result in results if result.outcome != Outcome.WORKING])
        return 0.0

    def _give_up(self, tickets: list[Ticket]) -> None:
        latest = time.monotonic() - GIVE_UP_S
        finished = [ticket for ticket in tickets if ticket.job.finished.is_set()]
        self._forget([ticket for ticket in finished if self._followed[id(ticket)][1] < latest])

    def _forget(self, tickets: list[Ticket]) -> None:
        with self._wake:
            for ticket in tickets:
                self._followed.pop(id(ticket), None)
