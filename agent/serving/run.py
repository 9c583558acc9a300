"""One run of an enrolled agent: puts the parts together, starts them, and stops them within a second."""

import fcntl
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import structlog

from agent import config
from agent.config import Identity
from agent.control_plane import heartbeat
from agent.control_plane.client import ControlPlane
from agent.control_plane.postman import Postman
from agent.control_plane.pull import Puller
from agent.drivers.base import Driver
from agent.serving.door import Door, open_door
from agent.serving.server import App
from agent.work import batch
from agent.work.state import Store
from agent.work.upstreams import Pinner
from agent.work.watch import Watch
from agent.work.worker import Worker

LOOK_S = 0.5
"""How often the threads are looked at."""

STOP_S = 0.5
"""How long the current step of the worker may take to end; a kill would be safe too."""

log = structlog.get_logger()


class CannotServe(Exception):
    """The agent cannot start, or cannot go on; the text is for the operator."""


def serve(state: Path, identity: Identity, driver: Driver) -> None:
    """Serve until SIGTERM or SIGINT. Raises CannotServe, FileDamaged."""
    with _locked(state):
        try:
            driver.start()
            _serve(state, identity, driver)
        finally:
            driver.stop()


def reserved_of(identity: Identity, driver: Driver) -> tuple[str, ...]:
    """Every host:port that no upstream may be: the gateway's, our own, the control plane's."""
    url = urlsplit(identity.settings.control_plane_url)
    port = url.port or (443 if url.scheme == "https" else 80)
    return (*driver.reserved(), identity.settings.listen, f"{url.hostname}:{port}")


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """The parts of a run that have threads of their own; they start and stop together."""

    worker: Worker
    postman: Postman
    puller: Puller
    heart: heartbeat.Heart
    watch: Watch

    @property
    def threads(self) -> tuple[threading.Thread, ...]:
        parts = (self.worker, self.postman, self.puller, self.heart, self.watch)
        return tuple(part.thread for part in parts)

    def start(self) -> None:
        self.postman.start()
        self.postman.follow(self.worker.start())
        self.puller.start()
        self.heart.start()
        self.watch.start()

    def stop(self) -> None:
        self.watch.stop()
        self.heart.stop()
        self.puller.stop()
        self.postman.stop()
        self.worker.stop(timeout_s=STOP_S)


def _serve(state: Path, identity: Identity, driver: Driver) -> None:
    control_plane = ControlPlane(identity)
    parts = _put_together(state, identity, driver, control_plane)
    threading.excepthook = _log_end
    stop = _stop_signal()
    app = App(control_plane=control_plane, worker=parts.worker, postman=parts.postman)
    server = _bind(app, identity.settings.listen)
    serving = threading.Thread(target=server.run, name="server", daemon=True)
    serving.start()
    parts.start()
    log.info(
        "serving",
        agent=identity.settings.name,
        cluster=identity.settings.cluster,
        listen=identity.settings.listen,
        driver=driver.name,
    )
    try:
        _wait(stop, threads=(serving, *parts.threads))
    finally:
        parts.stop()
        log.info("stopped")


def _put_together(state: Path, identity: Identity, driver: Driver, control_plane: ControlPlane) -> _Parts:
    store, pinner, reserved = Store(state), Pinner(), reserved_of(identity, driver)
    postman = Postman(control_plane)
    worker = Worker(
        batch.BatchParts(driver=driver, store=store, pinner=pinner, reserved=reserved),
        on_finish=postman.nudge,
    )
    puller = Puller(control_plane=control_plane, worker=worker, postman=postman, store=store)
    heart = heartbeat.Heart(
        heartbeat.HeartbeatParts(
            driver=driver,
            store=store,
            control_plane=control_plane,
            worker=worker,
            puller=puller,
            pinner=pinner,
            reserved=reserved,
            remember=partial(config.save_keys, state),
        )
    )
    watch = Watch(driver, worker)
    return _Parts(worker=worker, postman=postman, puller=puller, heart=heart, watch=watch)


def _wait(stop: threading.Event, *, threads: Iterable[threading.Thread]) -> None:
    """Wait for the stop signal. Raises CannotServe when a thread has ended.

    An agent without one of its threads would go on in part: it ends, and its supervisor starts it again.
    """
    while not stop.wait(LOOK_S):
        if ended := [thread.name for thread in threads if not thread.is_alive()]:
            parts = ", ".join(ended)
            raise CannotServe(f"A part of the agent has ended ({parts}). Its log says why. Start it again.")


def _log_end(problem: threading.ExceptHookArgs) -> None:
    name = problem.thread.name if problem.thread else ""
    log.error(
        "thread_ended", thread=name, exc_info=(problem.exc_type, problem.exc_value, problem.exc_traceback)
    )


def _bind(app: App, listen: str) -> Door:
    try:
        return open_door(app, listen)
    except OSError as problem:
        raise CannotServe(f"The agent cannot listen on {listen}: {problem.strerror or problem}.") from problem


def _stop_signal() -> threading.Event:
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    """Hold the folder's lock; the system lets go of it however the process ends."""
    handle = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        os.close(handle)
        raise CannotServe(f"Another agent runs on {state} already.") from problem
    try:
        yield
    finally:
        os.close(handle)
