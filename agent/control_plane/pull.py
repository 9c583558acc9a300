"""The pull: reports what the agent carries, and fetches the specs that differ.

A thread of its own: the next heartbeat does not wait for a long pull.
"""

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
    """Pulls on request, from `start` until `stop`."""

    def __init__(
        self, *, control_plane: ControlPlane, worker: Worker, postman: Postman, store: Store
    ) -> None:
        self._control_plane, self._worker, self._postman, self._store = control_plane, worker, postman, store
        self._wake = threading.Condition()
        self._requested: tuple[Carried, ...] | None = None
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

    def request(self, carried: Sequence[Carried]) -> None:
        """Have this reported, and what differs fetched.

        Ignored while a pull is under way: the next heartbeat says what still differs.
        """
        with self._wake:
            if not self._is_pulling:
                self._requested = tuple(carried)
                self._wake.notify_all()

    def pull_once(self) -> None:
        """Send the requested report page by page, and do all that its answers ask for.

        The step of the thread; tests without the thread call it themselves. Raises ControlPlaneFailed.
        """
        with self._wake:
            carried, self._requested, self._is_pulling = self._requested, None, self._requested is not None
        if carried is None:
            return
        try:
            answers = self._report(carried)
            if keys_asked := [publish for answer in answers for publish in answer.keys_asked]:
                self._control_plane.let_in(let_in(carried, self._store.records, of=keys_asked))
            if forget := [absence for answer in answers for absence in answer.forget]:
                self._worker.forget(forget)
            self._fetch([publish for answer in answers for publish in answer.wanted])
        finally:
            with self._wake:
                self._is_pulling = False

    def _run(self) -> None:
        while not self._stopping:
            with self._wake:
                self._wake.wait_for(lambda: self._stopping or self._requested is not None)
            try:
                self.pull_once()
            except ControlPlaneFailed as problem:
                log.warning("pull_failed", reason=str(problem), code=problem.code, status=problem.status)
            except Exception:  # a bug must not end the pulls; the next heartbeat asks again
                log.exception("pull_broken")

    def _report(self, carried: Sequence[Carried]) -> list[ReportAnswer]:
        pages = takewhile(lambda _page: not self._stopping, pages_of(carried))
        return [self._control_plane.report(page) for page in pages]

    def _fetch(self, publish_ids: Sequence[UUID]) -> None:
        remaining = list(publish_ids)
        while remaining and not self._stopping:
            requested, remaining = remaining[:SPECS_AT_ONCE], remaining[SPECS_AT_ONCE:]
            answer = self._control_plane.specs(requested)
            received_ids = {item.spec.publish_id for item in answer.items}
            # An answer holds as many specs as fit. Where it holds none, the publishes are not ours.
            if received_ids:
                remaining = [publish for publish in requested if publish not in received_ids] + remaining
            log.info("pulled", publishes=[str(publish) for publish in received_ids])
            self._postman.follow(
                self._worker.submit(answer.items, networks=answer.upstream_networks, reserved=answer.reserved)
            )
