"""Fetches what the control plane wants otherwise than it is carried. A thread of its own: however much that is, the next heartbeat does not wait for it."""

import threading
from collections.abc import Sequence
from itertools import takewhile
from uuid import UUID

import structlog

from agent.control_plane.client import ControlPlane, ControlPlaneFailed
from agent.control_plane.postman import Postman
from agent.protocol.messages import Carried, ReportAnswer
from agent.work.carried import let_in, pages_of
from agent.work.state import Store
from agent.work.worker import Worker

SPECS_AT_ONCE = 100
"""So that an answer stays far below the size limit."""

log = structlog.get_logger()


class Puller:
    """Start it with `start`; it goes on until `stop`. `pull_once` is the thread's step; tests without the thread take it themselves."""

    def __init__(
        self, *, control_plane: ControlPlane, worker: Worker, postman: Postman, store: Store
    ) -> None:
        self._control_plane, self._worker, self._postman, self._store = control_plane, worker, postman, store
        self._wake = threading.Condition()
        self._asked: tuple[Carried, ...] | None = None
        self._is_pulling = False
        self._stopping = False
        self.thread = threading.Thread(target=self._run, name="pull", daemon=True)

    def start(self) -> None:
        """Begin."""
        self.thread.start()

    def stop(self) -> None:
        """End after the present request."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()

    def ask(self, carried: Sequence[Carried]) -> None:
        """Report this and fetch what differs. Nothing happens while a pull is under way: what is true after it, the next heartbeat says."""
        with self._wake:
            if not self._is_pulling:
                self._asked = tuple(carried)
                self._wake.notify_all()

    def pull_once(self) -> None:
        """One report, page by page, and all that its answers ask for, if it was asked for. Raises ControlPlaneFailed."""
        with self._wake:
            carried, self._asked, self._is_pulling = self._asked, None, self._asked is not None
        if carried is None:
            return
        try:
            answers = self._report(carried)
            if asked := [publish for answer in answers for publish in answer.keys_asked]:
                self._control_plane.let_in(let_in(carried, self._store.records, of=asked))
            if forget := [absence for answer in answers for absence in answer.forget]:
                self._worker.forget(forget)
            self._fetch([publish for answer in answers for publish in answer.wanted])
        finally:
            with self._wake:
                self._is_pulling = False

    def _run(self) -> None:
        while not self._stopping:
            with self._wake:
                self._wake.wait_for(lambda: self._stopping or self._asked is not None)
            try:
                self.pull_once()
            except ControlPlaneFailed as problem:
                log.warning("pull_failed", reason=str(problem), code=problem.code, status=problem.status)
            except Exception:  # a bug must not end the pulls; the next heartbeat asks again
                log.exception("pull_broken")

    def _report(self, carried: Sequence[Carried]) -> list[ReportAnswer]:
        pages = takewhile(lambda _page: not self._stopping, pages_of(carried))
        return [self._control_plane.report(page) for page in pages]

    def _fetch(self, wanted: Sequence[UUID]) -> None:
        left = list(wanted)
        while left and not self._stopping:
            asked, left = left[:SPECS_AT_ONCE], left[SPECS_AT_ONCE:]
            answer = self._control_plane.specs(asked)
            got = {item.spec.publish_id for item in answer.items}
            # An answer holds as many as fit; what is left out although nothing came is not ours.
            left = [publish for publish in asked if publish not in got] + left if got else left
            log.info("pulled", publishes=[str(publish) for publish in got])
            self._postman.follow(
                self._worker.submit(answer.items, networks=answer.upstream_networks, reserved=answer.reserved)
            )
