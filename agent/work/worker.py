"""The single writer: a queue, and one thread that takes all waiting jobs as one batch.

Nothing else touches the gateway or the publishes' state.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from agent.drivers.base import Addresses, Unreachable
from agent.files import CannotWrite, Disk
from agent.protocol.messages import Absence, Item, Outcome, Result
from agent.protocol.spec import Spec
from agent.work import batch

Key = tuple[UUID, int, str]

log = structlog.get_logger()


@dataclass(eq=False, kw_only=True)
class Job:
    """One spec on its way, shared by all requests for exactly this spec."""

    spec: Spec
    networks: tuple[str, ...]
    reserved: tuple[str, ...] = ()
    finished: threading.Event = field(default_factory=threading.Event)
    result: Result | None = None

    @property
    def key(self) -> Key:
        """Requests with the same key share a job."""
        return (self.spec.publish_id, self.spec.generation, self.spec.digest)


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """One request's claim on a job: its result carries the request's own delivery and token."""

    item: Item
    job: Job

    @property
    def result(self) -> Result:
        """The result, or WORKING when there is none yet."""
        spec, result = self.item.spec, self.job.result
        if result is None:
            result = Result(
                publish_id=spec.publish_id,
                generation=spec.generation,
                digest=spec.digest,
                outcome=Outcome.WORKING,
            )
        return result.model_copy(update={"delivery": self.item.delivery, "token": self.item.token})


class Worker:
    """Runs from `start` until `stop`."""

    def __init__(self, parts: batch.BatchParts, *, on_finish: Callable[[], None] = lambda: None) -> None:
        self._parts = parts
        self._on_finish = on_finish
        self._wake = threading.Condition()
        self._waiting: list[Job] = []
        self._in_flight: dict[Key, Job] = {}
        self._moved: dict[UUID, Addresses] = {}
        self._chores: dict[str, Callable[[], None]] = {}
        self._stopping = False
        self.disk = Disk()
        """The failed writes of this thread."""
        self.is_renewed = False
        """Whether every publish was rewritten in the form of this version since the start."""
        self.thread = threading.Thread(target=self._run, name="work", daemon=True)

    def start(self) -> list[Ticket]:
        """Begin with the unfinished work of an earlier run; returns its tickets."""
        tickets = self.recover()
        self.thread.start()
        return tickets

    def recover(self) -> list[Ticket]:
        """Queue the specs that an earlier run did not finish."""
        unfinished = [Item(spec=pinned_spec.spec) for pinned_spec in self._parts.store.pending()]
        return self.submit(
            unfinished, networks=self._parts.store.networks, reserved=self._parts.store.reserved
        )

    def stop(self, *, timeout_s: float) -> None:
        """Take no more work and wait for the current step, at most `timeout_s` seconds."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        self.thread.join(timeout_s)

    def submit(
        self, items: Iterable[Item], *, networks: tuple[str, ...], reserved: tuple[str, ...] = ()
    ) -> list[Ticket]:
        """Queue specs. A spec that is on its way already is not queued again: both requests share its job."""
        with self._wake:
            tickets = [
                Ticket(item=item, job=self._job(Job(spec=item.spec, networks=networks, reserved=reserved)))
                for item in items
            ]
            self._wake.notify_all()
        return tickets

    def move(self, moved: Mapping[UUID, Addresses]) -> None:
        """Queue new upstream addresses for good specs."""
        with self._wake:
            self._moved.update(moved)
            self._wake.notify_all()

    def restore(self) -> None:
        """Have a gateway that lost everything filled again from the disk."""
        self._put("gateway_not_filled", lambda: batch.restore(self._parts))

    def renew(self) -> None:
        """Have every publish rewritten in this version's form; one that has the form costs no write."""
        self._put("gateway_not_renewed", self._renew)

    def forget(self, absences: Iterable[Absence]) -> None:
        """Have the disk forget these absences."""
        pending = tuple(absences)
        self._put("absences_not_forgotten", lambda: self._parts.store.forget(pending))

    def _put(self, event: str, chore: Callable[[], None]) -> None:
        with self._wake:
            self._chores[event] = chore
            self._wake.notify_all()

    def _job(self, job: Job) -> Job:
        if existing := self._in_flight.get(job.key):
            return existing
        self._in_flight[job.key] = job
        self._waiting.append(job)
        return job

    def work_once(self) -> None:
        """Work on all that waits now, as one batch.

        The thread's step; tests without the thread call it themselves.
        """
        with self._wake:
            jobs, self._waiting = self._waiting, []
            moved, self._moved = self._moved, {}
            chores, self._chores = self._chores, {}
        for event, chore in chores.items():
            self._run_chore(event, chore)
        if moved:
            self._run_chore("upstreams_not_moved", lambda: batch.repin(self._parts, moved))
        if jobs:
            self._work(jobs)

    def _run(self) -> None:
        while not self._stopping:
            with self._wake:
                self._wake.wait_for(lambda: self._waiting or self._moved or self._chores or self._stopping)
            self.work_once()

    def _work(self, jobs: list[Job]) -> None:
        started = time.monotonic()
        try:
            # The last command has the control plane's newest networks.
            batch.run(
                self._parts,
                [job.spec for job in jobs],
                networks=jobs[-1].networks,
                reserved=jobs[-1].reserved,
                finish=self._finish,
            )
        except CannotWrite as problem:
            self._note(problem)
            for job in jobs:
                self._finish(
                    _failed(
                        job.spec,
                        step="disk",
                        code="disk_full" if problem.is_full else "cannot_write",
                        message=str(problem),
                    )
                )
        except Exception:  # a bug must not end the only writer; the control plane hears of it and tries again
            log.exception("batch_failed", publishes=[str(job.spec.publish_id) for job in jobs])
            for job in jobs:
                self._finish(
                    _failed(
                        job.spec,
                        step="agent",
                        code="agent_error",
                        message="The agent hit an error of its own; its log says more.",
                    )
                )
        log.info("batch", size=len(jobs), ms=round((time.monotonic() - started) * 1000))

    def _finish(self, result: Result) -> None:
        with self._wake:
            job = self._in_flight.pop((result.publish_id, result.generation, result.digest), None)
        if job is None:
            return
        job.result = result
        job.finished.set()
        self._on_finish()
        log.info(
            "result",
            publish=str(result.publish_id),
            generation=result.generation,
            outcome=result.outcome.value,
            step=result.step,
            code=result.code,
            message=result.message,
            apply_ms=result.evidence.apply_ms,
            verify_ms=result.evidence.verify_ms,
        )

    def _note(self, problem: CannotWrite) -> None:
        self.disk.note(problem)
        log.error("cannot_write", path=str(problem.path), reason=str(problem))

    def _renew(self) -> None:
        batch.renew(self._parts)
        self.is_renewed = True

    def _run_chore(self, event: str, step: Callable[[], None]) -> None:
        """Run a step that nobody waits for; the next look asks for a failed one again."""
        try:
            step()
        except Unreachable as problem:
            log.warning(event, reason=str(problem))
        except CannotWrite as problem:
            self._note(problem)
        except Exception:  # as in _work
            log.exception(event)


def wait_for(tickets: Iterable[Ticket], *, timeout_s: float) -> bool:
    """Wait until all are done, at most `timeout_s` seconds; True when they are."""
    deadline = time.monotonic() + timeout_s
    return all(ticket.job.finished.wait(max(0.0, deadline - time.monotonic())) for ticket in tickets)


def _failed(spec: Spec, *, step: str, code: str, message: str) -> Result:
    return Result(
        publish_id=spec.publish_id,
        generation=spec.generation,
        digest=spec.digest,
        outcome=Outcome.UNREACHABLE,
        step=step,
        code=code,
        message=message,
    )
