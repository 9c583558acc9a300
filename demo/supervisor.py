"""Starts parts, waits until they answer, restarts those that die, and stops them all.

Knows processes, nothing of their work.
"""

import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from demo.process import Part, Running, older, spawn
from demo.reaper import Reaper, end, signal_group

TICK_S = 0.05
START_S = 30.0
"""How long the start may wait for any one thing."""

BACKOFF_MAX_S = 30.0
STEADY_S = 30.0
"""Seconds after which a part that dies starts its back-off anew."""

STAGE_GRACE_S = 1.4
"""How long a stage may take to stop by itself; three stages stop in less than 5 s."""


class Supervisor:
    """Parts in stages: started in order, stopped in reverse order. Used from the main thread only."""

    def __init__(self, logs: Path, *, say: Callable[[str], None], lock: int | None = None) -> None:
        """`logs` takes a file for each part, `say` takes lines for the person.

        `lock`, a locked file, stays open until every part has ended.
        """
        self._logs = logs
        self._say = say
        self._stages: list[list[Running]] = []
        logs.mkdir(parents=True, exist_ok=True)
        for log in logs.glob("*.log"):
            log.replace(older(log))
        self._reaper = Reaper(lock=lock)

    def launch(self, *parts: Part) -> None:
        """Start the next stage; `settle` waits for it."""
        stage: list[Running] = []
        self._stages.append(stage)
        stage.extend(self._begin(part) for part in parts)

    def settle(self) -> None:
        """Wait until all that was launched is ready. Raises DemoRefused when something is not."""
        for running in self._all():
            self.wait_until(
                partial(_is_ready, running), part=running.part.name, otherwise="did not get ready"
            )

    def wait_until(self, is_true: Callable[[], bool], *, part: str, otherwise: str) -> None:
        """Wait for something that this part has to do.

        Raises DemoRefused when it takes too long or when any part ends meanwhile.
        """
        started = time.monotonic()
        while not is_true():
            self._refuse_the_dead()
            if time.monotonic() - started > START_S:
                running = next(running for running in self._all() if running.part.name == part)
                raise running.refusal(action=f"{otherwise} in {START_S:.0f} s")
            time.sleep(TICK_S)

    def run(self, *parts: Part) -> None:
        """Run programs side by side to their end. Raises DemoRefused when one fails or takes too long."""
        jobs: list[Running] = []
        self._stages.append(jobs)
        jobs.extend(self._begin(part) for part in parts)
        started = time.monotonic()
        while jobs:
            for job in [job for job in jobs if job.is_dead]:
                self._bury(job)
                if job.process.returncode != 0:
                    raise job.refusal(action=job.end_text())
                jobs.remove(job)
            if jobs and time.monotonic() - started > START_S:
                raise jobs[0].refusal(action=f"took longer than {START_S:.0f} s")
            time.sleep(TICK_S)
        self._stages.remove(jobs)

    def watch(self, *, goes_on: Callable[[], bool], changed: Callable[[], None]) -> None:
        """Start again what dies while the demo goes on.

        `changed` is called whenever such a part is ready again.
        """
        while goes_on():
            back = [running for running in self._all() if self._tend(running)]
            if back:
                self._tell(changed)
            self._reaper.ensure()
            time.sleep(TICK_S)

    def pids(self) -> dict[str, int]:
        """The process id of each part, by name."""
        return {running.part.name: running.process.pid for running in self._all()}

    def stop(self) -> None:
        """End everything, stage by stage, the last one first. Three stages take 5 s at most."""
        for stage in reversed(self._stages):
            groups = {running.process.pid: running.part.ending for running in stage if running.due is None}
            end(groups, grace_s=STAGE_GRACE_S)
            for group in groups:
                self._reaper.forget(group)
        self._reaper.close()

    def _all(self) -> list[Running]:
        return [running for stage in self._stages for running in stage]

    def _begin(self, part: Part) -> Running:
        log = self._logs / f"{part.name}.log"
        return Running(
            part=part, process=spawn(part, log=log, reaper=self._reaper), log=log, since=time.monotonic()
        )

    def _bury(self, running: Running) -> None:
        signal_group(running.process.pid, signal.SIGKILL)
        self._reaper.forget(running.process.pid)

    def _refuse_the_dead(self) -> None:
        for running in self._all():
            if running.is_dead:
                raise running.refusal(action=running.end_text())

    def _tend(self, running: Running) -> bool:
        """Look after one part; true when it runs again."""
        running.trim_log()
        if running.due is not None:
            if time.monotonic() >= running.due:
                self._begin_again(running)
        elif running.is_dead:
            self._bury(running)
            self._postpone(running, reason=running.end_text())
        elif not running.ready and _is_ready(running):
            self._say(f"{running.part.name} runs again (pid {running.process.pid}).")
            return True
        return False

    def _postpone(self, running: Running, *, reason: str) -> None:
        now = time.monotonic()
        running.failures = 1 if now - running.since > STEADY_S else running.failures + 1
        delay = min(BACKOFF_MAX_S, 2.0 ** (running.failures - 1))
        running.ready, running.due = False, now + delay
        self._say(f"{running.part.name} {reason}. Starting it again in {delay:.0f} s, log: {running.log}")

    def _begin_again(self, running: Running) -> None:
        try:
            running.process = spawn(running.part, log=running.log, reaper=self._reaper)
        except OSError as problem:
            self._postpone(running, reason=f"cannot be started ({problem})")
        else:
            running.since, running.due = time.monotonic(), None

    def _tell(self, changed: Callable[[], None]) -> None:
        try:
            changed()
        except OSError as problem:
            self._say(f"This could not be noted: {problem}")


def _is_ready(running: Running) -> bool:
    running.ready = running.ready or running.part.is_ready()
    return running.ready
