"""The heartbeat: says what the agent carries, has differences fetched, keeps addresses fresh.

Hands work on and writes nothing itself.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import structlog

from agent.config import Identity
from agent.control_plane import keys
from agent.control_plane.client import ControlPlane, ControlPlaneFailed
from agent.control_plane.pull import Puller
from agent.drivers.base import Addresses, Driver, PinnedSpec, Refused, Unreachable
from agent.protocol.messages import Carried, Heartbeat
from agent.protocol.signing import key_set
from agent.protocol.spec import State
from agent.protocol.version import PROGRAM_VERSION
from agent.work.carried import carried_now, fingerprint_of
from agent.work.state import Store
from agent.work.upstreams import Pinner
from agent.work.worker import Worker

FIRST_INTERVAL_S = 5.0
"""Seconds, until the control plane has named an interval."""
SHORTEST_S, LONGEST_S = 0.1, 600.0
JITTER = 0.2
"""Share of the interval.

A restart of the control plane brings agents into step; jitter takes them out of it.
"""
EARLIEST, LATEST = 0.25, 2.0
"""Bounds of the back-off after failures, in intervals.

One lost beat must not make an agent count as disconnected; a broken control plane must not be asked more
often than a healthy one.
"""
log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class HeartbeatParts:
    """The parts that the heartbeat uses."""

    driver: Driver
    store: Store
    control_plane: ControlPlane
    worker: Worker
    puller: Puller
    pinner: Pinner
    reserved: tuple[str, ...]
    remember: Callable[[Identity], None]
    """Writes new keys to the disk; raises OSError."""


class Heart:
    """Beats once at `start` and then every interval, until `stop`."""

    def __init__(self, parts: HeartbeatParts) -> None:
        self._parts = parts
        self._interval_s = FIRST_INTERVAL_S
        self._failures = 0
        self._complaints: dict[UUID, str] = {}
        self._stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin."""
        self.thread.start()

    def stop(self) -> None:
        """End before the next beat."""
        self._stopping.set()

    def beat(self) -> None:
        """Send one heartbeat and begin what its answer asks for. Raises ControlPlaneFailed."""
        parts = self._parts
        carried = carried_now(parts.driver, parts.store.records)
        answer = parts.control_plane.heartbeat(self._heartbeat(carried))
        self._interval_s = min(max(answer.interval_ms / 1000, SHORTEST_S), LONGEST_S)
        keys.follow(parts.control_plane, answer, remember=parts.remember)
        if answer.report:
            parts.puller.request(carried)

    def refresh_addresses(self) -> None:
        """Resolve the upstreams of every live publish again.

        Addresses that moved inside the fence go to the worker; an upstream without a new address keeps its
        old ones.
        """
        parts = self._parts
        live_specs = [
            record.good
            for record in parts.store.records.values()
            if record.good and not record.pending and record.good.spec.state == State.LIVE
        ]
        pins = parts.pinner.pin(
            [pinned_spec.spec for pinned_spec in live_specs],
            networks=parts.store.networks,
            reserved=(*parts.reserved, *parts.store.reserved),
        )
        moved = {
            pinned_spec.publish_id: addresses
            for pinned_spec, pin in zip(live_specs, pins, strict=True)
            if (addresses := self._moved(pinned_spec, pin)) is not None
        }
        if moved:
            parts.worker.move(moved)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._beat_safely()
            self._stopping.wait(self._pause_s())

    def _beat_safely(self) -> None:
        try:
            self.beat()
            self._failures = 0
        except ControlPlaneFailed as problem:
            self._failures += 1
            log.warning(
                "heartbeat_failed",
                reason=str(problem),
                code=problem.code,
                status=problem.status,
                failures=self._failures,
            )
        except Exception:  # a bug must not end the heartbeat: the control plane would think the gateway gone
            self._failures += 1
            log.exception("heartbeat_broken")
        try:
            self.refresh_addresses()
        except Exception:  # as above
            log.exception("refresh_broken")

    def _pause_s(self) -> float:
        if not self._failures:
            return self._interval_s * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (jitter, no secret)
        window = min(2.0 ** min(self._failures - 1, 10), LATEST)
        return self._interval_s * random.uniform(EARLIEST * window, window)  # noqa: S311 (as above)

    def _heartbeat(self, carried: list[Carried]) -> Heartbeat:
        driver, description = self._parts.driver, self._parts.driver.describe()
        errors = [error for error in (description.error, self._parts.worker.disk.trouble()) if error]
        return Heartbeat(
            agent_version=PROGRAM_VERSION,
            driver=driver.name,
            fingerprint=fingerprint_of(carried),
            gateway_ok=description.ok and not errors,
            gateway_error=" ".join(errors),
            gateway_version=description.version,
            gateway_mode=description.mode,
            proxy_url=driver.proxy_url,
            reserved=self._parts.reserved,
            pinned=key_set(self._parts.control_plane.identity.control_plane_keys),
        )

    def _moved(self, pinned_spec: PinnedSpec, pin: Addresses | Refused | Unreachable) -> Addresses | None:
        publish = pinned_spec.publish_id
        if isinstance(pin, (Refused, Unreachable)):
            if self._complaints.get(publish) != str(pin):
                self._complaints[publish] = str(pin)
                log.warning("old_addresses_kept", publish=str(publish), code=pin.code, reason=str(pin))
            return None
        self._complaints.pop(publish, None)
        return pin if pin != pinned_spec.addresses else None
