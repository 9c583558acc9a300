"""Watches the gateway by a clock of its own and has it repaired from this agent's disk.

A repair is due when the gateway has lost everything, or when somebody else or another version of the agent
wrote it. No control plane is needed.
"""

import threading

import structlog

from agent.drivers.base import Driver
from agent.work.worker import Worker

INTERVAL_S = 2.0

log = structlog.get_logger()


class Watch:
    """Looks every two seconds, until `stop`; first after two seconds.

    A control plane that is up can then say what is newer than the disk.
    """

    def __init__(self, driver: Driver, worker: Worker) -> None:
        self._driver, self._worker = driver, worker
        self._stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self.thread.start()

    def stop(self) -> None:
        """End before the next look."""
        self._stopping.set()

    def look(self) -> None:
        """Check once, and have the worker repair the gateway when that is due."""
        if self._driver.is_empty():
            self._worker.restore()
        elif self._driver.is_altered() or (not self._worker.is_renewed and self._driver.describe().ok):
            self._worker.renew()

    def _run(self) -> None:
        while not self._stopping.wait(INTERVAL_S):
            try:
                self.look()
            except Exception:  # a bug must not end the watch
                log.exception("watch_broken")
