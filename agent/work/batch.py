"""One batch of specs: generation fence, upstream fence, disk, gateway, proof, in this order.

Only the worker thread runs it.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Set
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from uuid import UUID

import structlog

from agent.drivers.base import (
    Addresses,
    Applied,
    Driver,
    Observed,
    PinnedSpec,
    Refused,
    ShownState,
    Unreachable,
)
from agent.protocol.messages import Evidence, Outcome, Result
from agent.protocol.spec import Spec, State
from agent.work import results
from agent.work.hosts import Hosts
from agent.work.state import Record, Store
from agent.work.upstreams import Pinner

Finish = Callable[[Result], None]

PROOFS_AT_ONCE = 4
"""More than one, so that a publish without a proof does not hold up the others until its deadline."""

_NO_ANSWER = Unreachable(
    "The gateway did not say in time whether it takes this publish.", code="update_not_taken"
)

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class BatchParts:
    """The parts that a batch uses."""

    driver: Driver
    store: Store
    pinner: Pinner
    reserved: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class FenceRules:
    """The control plane's newest fence: networks that upstreams may be in, host:port that none may be."""

    networks: tuple[str, ...]
    reserved: tuple[str, ...] = ()


def run(
    parts: BatchParts,
    specs: Iterable[Spec],
    *,
    networks: tuple[str, ...],
    finish: Finish,
    reserved: tuple[str, ...] = (),
) -> None:
    """Bring all specs to the gateway in one change.

    `finish` gets exactly one result per spec, as soon as it is known.
    """
    observed = _observed(parts)
    current = _current_only(parts, observed, list(specs), finish)
    accepted = _fenced(parts, current, FenceRules(networks=networks, reserved=reserved), finish)
    if not accepted:
        return
    started = time.monotonic()
    try:
        applied = _apply(parts, observed, {pinned_spec.publish_id for pinned_spec in accepted})
    except Unreachable as problem:
        for pinned_spec in accepted:
            finish(results.unreachable(pinned_spec.spec, problem, step="apply"))
        return
    apply_ms = round((time.monotonic() - started) * 1000)
    standing = _applied(parts.store, accepted, applied, finish)
    _prove(parts, standing, Evidence(apply_ms=apply_ms, changes=applied.changes), finish)


def repin(parts: BatchParts, moved: Mapping[UUID, Addresses]) -> None:
    """Bring new upstream addresses of good specs to the gateway. Raises Unreachable."""
    parts.store.repin(moved)
    _apply(parts, _observed(parts), moved.keys())
    log.info("upstreams_moved", publishes=[str(publish) for publish in moved])


def renew(parts: BatchParts) -> None:
    """Rewrite every publish of the gateway in the form of this version of the agent. Raises Unreachable.

    Another version may have written them.
    """
    applied = _apply(parts, _observed(parts), set(), is_whole=True)
    if applied.changes:
        log.info(
            "gateway_renewed", changes=applied.changes, refused=[str(publish) for publish in applied.refused]
        )


def restore(parts: BatchParts) -> None:
    """Put back all that the disk knows on a gateway that has lost everything. Raises Unreachable."""
    desired = parts.store.desired()
    if not desired or not parts.driver.is_empty():
        return
    applied = parts.driver.apply(desired)
    log.info(
        "gateway_filled",
        publishes=len(desired),
        changes=applied.changes,
        refused=[str(publish) for publish in applied.refused],
    )


def _apply(
    parts: BatchParts, observed: Observed | Unreachable, requested_ids: Set[UUID], *, is_whole: bool = False
) -> Applied:
    """Write what was asked for, and of all else what the gateway shows otherwise than this agent knows it.

    `is_whole`: what it shows rightly too, in case another hand or another version of the agent wrote it. What
    the gateway has newer, or has lost, may be another agent's work or a restored backup: the next heartbeat
    asks the control plane.
    """
    if isinstance(observed, Unreachable):
        raise observed
    return parts.driver.apply(
        [
            goal
            for goal in parts.store.desired()
            if goal.publish_id in requested_ids or _is_ours(goal.wanted.spec, observed, is_whole=is_whole)
        ]
    )


def _is_ours(spec: Spec, observed: Observed, *, is_whole: bool) -> bool:
    shown = observed.carried.get(spec.publish_id)
    if shown is None:
        return is_whole and spec.state == State.ABSENT
    if shown.generation > spec.generation:
        return False
    is_right = spec.state != State.ABSENT and shown == ShownState(
        generation=spec.generation, digest=spec.digest
    )
    return is_whole or not is_right


def _current_only(
    parts: BatchParts, observed: Observed | Unreachable, specs: list[Spec], finish: Finish
) -> list[Spec]:
    """The specs that are not behind: behind the disk, the gateway itself, or another spec of this batch."""
    carried = {} if isinstance(observed, Unreachable) else observed.carried
    newest: dict[UUID, int] = {publish: shown.generation for publish, shown in carried.items()}
    for publish, record in parts.store.records.items():
        newest[publish] = max(record.highest, newest.get(publish, 0))
    for spec in specs:
        newest[spec.publish_id] = max(spec.generation, newest.get(spec.publish_id, 0))
    current = {spec.publish_id: spec for spec in specs if spec.generation == newest[spec.publish_id]}
    for spec in specs:
        if spec is not current.get(spec.publish_id):
            finish(results.stale(spec, newest[spec.publish_id]))
    conflicting = {
        publish
        for publish, spec in current.items()
        if _has_other_content(spec, parts.store.records.get(publish), carried.get(publish))
    }
    for publish in conflicting:
        finish(results.other_content(current[publish]))
    return [spec for publish, spec in current.items() if publish not in conflicting]


def _has_other_content(spec: Spec, record: Record | None, shown: ShownState | None) -> bool:
    """Whether this generation has other content on the disk or the gateway, as after a restored backup."""
    specs = (
        [pinned_spec.spec for pinned_spec in (record.pending, record.good) if pinned_spec] if record else []
    )
    known_digests = {recorded.digest for recorded in specs if recorded.generation == spec.generation}
    if shown and shown.generation == spec.generation and shown.digest:
        known_digests.add(shown.digest)
    return bool(known_digests) and spec.digest not in known_digests


def _observed(parts: BatchParts) -> Observed | Unreachable:
    """The state of the gateway before anything is written, or its error.

    The error is raised later: the specs must be safe on the disk first.
    """
    try:
        return parts.driver.observe()
    except Unreachable as problem:
        return problem


def _fenced(parts: BatchParts, specs: list[Spec], rules: FenceRules, finish: Finish) -> list[PinnedSpec]:
    """The specs inside the upstream fence, stored.

    The others are finished, and their generation is remembered.
    """
    fence = parts.pinner.pin(specs, networks=rules.networks, reserved=(*parts.reserved, *rules.reserved))
    hosts = Hosts(parts.store.records, specs)
    pins = [hosts.refusal_of(spec) or pin for spec, pin in zip(specs, fence, strict=True)]
    accepted, refused = [], []
    for spec, pin in zip(specs, pins, strict=True):
        if isinstance(pin, Refused):
            refused.append((spec, results.refused(spec, pin, step="fence")))
        elif isinstance(pin, Unreachable):
            finish(results.unreachable(spec, pin, step="fence"))
        else:
            accepted.append(PinnedSpec(spec=spec, addresses=pin, probe_host=hosts.probe_host(spec)))
    parts.store.accept(
        accepted,
        refused_generations={spec.publish_id: spec.generation for spec, _ in refused},
        networks=rules.networks,
        reserved=rules.reserved,
    )
    for _, result in refused:
        finish(result)
    return accepted


def _applied(store: Store, accepted: list[PinnedSpec], applied: Applied, finish: Finish) -> list[PinnedSpec]:
    """The specs that the gateway took. The others are finished; what it did not answer stays pending."""
    dropped = {*applied.refused, *applied.ahead}
    not_taken = dropped | applied.unanswered
    store.settle(dropped=dropped)
    for pinned_spec in accepted:
        if refusal := applied.refused.get(pinned_spec.publish_id):
            finish(results.refused(pinned_spec.spec, refusal, step="apply"))
        elif newest := applied.ahead.get(pinned_spec.publish_id):
            finish(results.stale(pinned_spec.spec, newest))
        elif pinned_spec.publish_id in applied.unanswered:
            finish(results.unreachable(pinned_spec.spec, _NO_ANSWER, step="apply"))
    return [pinned_spec for pinned_spec in accepted if pinned_spec.publish_id not in not_taken]


def _prove(parts: BatchParts, standing: list[PinnedSpec], measured: Evidence, finish: Finish) -> None:
    with ThreadPoolExecutor(max_workers=PROOFS_AT_ONCE, thread_name_prefix="prove") as pool:
        open_proofs = {
            pool.submit(_prove_spec, parts.driver, pinned_spec, measured): pinned_spec
            for pinned_spec in standing
        }
        while open_proofs:
            finished, _ = wait(open_proofs, return_when=FIRST_COMPLETED)
            _settle(parts.store, {future: open_proofs.pop(future) for future in finished}, finish)


def _prove_spec(driver: Driver, pinned_spec: PinnedSpec, measured: Evidence) -> Result:
    started = time.monotonic()
    try:
        proved = driver.verify(pinned_spec)
    except Unreachable as problem:
        return results.unreachable(pinned_spec.spec, problem, step="verify")
    verify_ms = round((time.monotonic() - started) * 1000)
    evidence = proved.model_copy(
        update={"apply_ms": measured.apply_ms, "changes": measured.changes, "verify_ms": verify_ms}
    )
    return results.verified(pinned_spec.spec, evidence)


def _settle(store: Store, finished: Mapping[Future[Result], PinnedSpec], finish: Finish) -> None:
    proved = [(future.result(), pinned_spec) for future, pinned_spec in finished.items()]
    store.settle(good=[pinned_spec for result, pinned_spec in proved if result.outcome == Outcome.VERIFIED])
    for result, _ in proved:
        finish(result)
