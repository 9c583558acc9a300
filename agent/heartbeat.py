"""The pull half of convergence: says what is carried, fetches what differs, keeps pinned addresses fresh. Hands work on and writes nothing itself."""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from agent import keys, words
from agent.carried import carried_now, fingerprint_of
from agent.config import AGENT_VERSION, Identity
from agent.control_plane import ControlPlane, ControlPlaneFailed
from agent.drivers.base import Addresses, Driver, Held, Refused, Unreachable
from agent.postman import Postman
from agent.protocol.messages import Carried, Heartbeat, Report
from agent.protocol.signing import key_set
from agent.protocol.spec import State
from agent.state import Store
from agent.upstreams import Pinner
from agent.work import Worker

FIRST_INTERVAL_S = 10.0
SHORTEST_S, LONGEST_S = 0.1, 600.0
JITTER = 0.1
SPECS_AT_ONCE = 100
"""So that an answer stays far below the size limit."""

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Kit:
    """What the heartbeat works with."""

    driver: Driver
    store: Store
    control_plane: ControlPlane
    worker: Worker
    postman: Postman
    pinner: Pinner
    reserved: tuple[str, ...]
    remember: Callable[[Identity], None]
    """Writes new keys to the disk; raises OSError."""


class Heart:
    """Beats once at `start` and then every interval, until `stop`."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
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
        """One heartbeat, and what its answer asks for. Raises ControlPlaneFailed."""
        kit = self._kit
        carried = carried_now(kit.driver, kit.store.records)
        answer = kit.control_plane.heartbeat(self._heartbeat(carried))
        self._interval_s = min(max(answer.interval_ms / 1000, SHORTEST_S), LONGEST_S)
        keys.follow(kit.control_plane, answer, remember=kit.remember)
        if answer.report:
            self._fetch(kit.control_plane.report(Report(carried=tuple(carried))).wanted)

    def refresh_addresses(self) -> None:
        """Resolve the upstreams of what is live again; those that moved inside the fence go to the worker, the others keep their old addresses."""
        kit = self._kit
        live = [record.good for record in kit.store.records.values() if record.good and not record.pending and record.good.spec.state == State.LIVE]
        pins = kit.pinner.pin([held.spec for held in live], networks=kit.store.networks, reserved=(*kit.reserved, *kit.store.reserved))
        moved = {held.spec.publish_id: new for held, pin in zip(live, pins, strict=True) if (new := self._moved(held, pin)) is not None}
        if moved:
            kit.worker.move(moved)

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
            log.warning("heartbeat_failed", reason=str(problem), code=problem.code, status=problem.status, failures=self._failures)
        except Exception:  # a bug must not end the heartbeat: the control plane would think the gateway gone
            self._failures += 1
            log.exception("heartbeat_broken")
        try:
            self.refresh_addresses()
        except Exception:  # as above
            log.exception("refresh_broken")

    def _pause_s(self) -> float:
        back_off = 2.0 ** min(self._failures - 1, 10) if self._failures else self._interval_s
        return min(back_off, self._interval_s) * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (jitter, no secret)

    def _heartbeat(self, carried: list[Carried]) -> Heartbeat:
        driver, description = self._kit.driver, self._kit.driver.describe()
        errors = [error for error in (description.error, self._kit.worker.disk.trouble()) if error]
        beat = Heartbeat(
            agent_version=AGENT_VERSION,
            driver=driver.name,
            fingerprint=fingerprint_of(carried),
            gateway_ok=description.ok and not errors,
            gateway_error=" ".join(errors),
            gateway_version=description.version,
            gateway_mode=description.mode,
            proxy_url=driver.proxy_url,
            reserved=self._kit.reserved,
            pinned=key_set(self._kit.control_plane.identity.control_plane_keys),
        )
        return words.bounded(beat)

    def _fetch(self, wanted: Sequence[UUID]) -> None:
        left = list(wanted)
        while left:
            asked, left = left[:SPECS_AT_ONCE], left[SPECS_AT_ONCE:]
            answer = self._kit.control_plane.specs(asked)
            got = {item.spec.publish_id for item in answer.items}
            # An answer holds as many as fit; what is left out although nothing came is not ours.
            left = [publish for publish in asked if publish not in got] + left if got else left
            log.info("pulled", publishes=[str(publish) for publish in got])
            self._kit.postman.follow(self._kit.worker.submit(answer.items, networks=answer.upstream_networks, reserved=answer.reserved))

    def _moved(self, held: Held, pin: Addresses | Refused | Unreachable) -> Addresses | None:
        publish = held.spec.publish_id
        if isinstance(pin, (Refused, Unreachable)):
            if self._complaints.get(publish) != str(pin):
                self._complaints[publish] = str(pin)
                log.warning("old_addresses_kept", publish=str(publish), code=pin.code, reason=str(pin))
            return None
        self._complaints.pop(publish, None)
        return pin if pin != held.addresses else None
