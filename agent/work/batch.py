"""One batch of specs from arrival to proof: generation fence, upstream fence, disk, gateway, proof, in this order. Only the worker thread runs it."""

import time
from collections.abc import Callable, Iterable, Mapping, Set
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from uuid import UUID

import structlog

from agent.drivers.base import Addresses, Applied, Driver, Held, Observed, Refused, Seen, Unreachable
from agent.protocol.messages import Evidence, Outcome, Result
from agent.protocol.spec import Spec, State
from agent.work.state import Record, Store
from agent.work.upstreams import Pinner

Finish = Callable[[Result], None]

PROOFS_AT_ONCE = 4
"""So that one publish that cannot be proved does not keep the others waiting for its deadline."""

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Kit:
    """What a batch works with."""

    driver: Driver
    store: Store
    pinner: Pinner
    reserved: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Walls:
    """The control plane's newest word on where upstreams may be: networks, and host:port pairs that none may be."""

    networks: tuple[str, ...]
    reserved: tuple[str, ...] = ()


def run(
    kit: Kit,
    specs: Iterable[Spec],
    *,
    networks: tuple[str, ...],
    finish: Finish,
    reserved: tuple[str, ...] = (),
) -> None:
    """Bring all of them to the gateway in one change. `finish` gets exactly one result per spec, as soon as it is known."""
    observed = _observed(kit)
    current = _current_only(kit, observed, list(specs), finish)
    accepted = _fenced(kit, current, Walls(networks=networks, reserved=reserved), finish)
    if not accepted:
        return
    started = time.monotonic()
    try:
        applied = _apply(kit, observed, {held.spec.publish_id for held in accepted})
    except Unreachable as problem:
        for held in accepted:
            finish(_unreachable(held.spec, problem, step="apply"))
        return
    apply_ms = round((time.monotonic() - started) * 1000)
    standing = _without_refused(kit.store, accepted, applied, finish)
    _prove(kit, standing, Evidence(apply_ms=apply_ms, changes=applied.changes), finish)


def repin(kit: Kit, moved: Mapping[UUID, Addresses]) -> None:
    """Bring new upstream addresses of good specs to the gateway. Raises Unreachable."""
    kit.store.repin(moved)
    _apply(kit, _observed(kit), set())
    log.info("upstreams_moved", publishes=[str(publish) for publish in moved])


def renew(kit: Kit) -> None:
    """Give what stands the shape that this version of the agent gives it: another one may have written it. Raises Unreachable."""
    applied = _apply(kit, _observed(kit), set())
    if applied.changes:
        log.info(
            "gateway_renewed", changes=applied.changes, refused=[str(publish) for publish in applied.refused]
        )


def restore(kit: Kit) -> None:
    """Put back all that the disk knows of on a gateway that has lost everything. Raises Unreachable."""
    desired = kit.store.desired()
    if not desired or not kit.driver.is_empty():
        return
    applied = kit.driver.apply(desired)
    log.info(
        "gateway_filled",
        publishes=len(desired),
        changes=applied.changes,
        refused=[str(publish) for publish in applied.refused],
    )


def _apply(kit: Kit, observed: Observed | Unreachable, asked: Set[UUID]) -> Applied:
    """Write what was asked for, and of all else what the gateway shows at our generation or an older one.

    What it has newer, or has lost, may be another agent's work or a restored backup: the control plane is asked, at the next heartbeat.
    """
    if isinstance(observed, Unreachable):
        raise observed
    return kit.driver.apply(
        [
            one
            for one in kit.store.desired()
            if one.wanted.spec.publish_id in asked or _is_ours(one.wanted.spec, observed)
        ]
    )


def _is_ours(spec: Spec, observed: Observed) -> bool:
    seen = observed.carried.get(spec.publish_id)
    return seen.generation <= spec.generation if seen else spec.state == State.ABSENT


def _current_only(
    kit: Kit, observed: Observed | Unreachable, specs: list[Spec], finish: Finish
) -> list[Spec]:
    """The specs that are not behind: behind the disk, behind the gateway itself, or behind another one of this batch."""
    there = {} if isinstance(observed, Unreachable) else observed.carried
    newest: dict[UUID, int] = {publish: seen.generation for publish, seen in there.items()}
    for publish, record in kit.store.records.items():
        newest[publish] = max(record.highest, newest.get(publish, 0))
    for spec in specs:
        newest[spec.publish_id] = max(spec.generation, newest.get(spec.publish_id, 0))
    current = {spec.publish_id: spec for spec in specs if spec.generation == newest[spec.publish_id]}
    for spec in specs:
        if spec is not current.get(spec.publish_id):
            finish(_stale(spec, newest[spec.publish_id]))
    others = {
        publish
        for publish, spec in current.items()
        if _has_other_content(spec, kit.store.records.get(publish), there.get(publish))
    }
    for publish in others:
        finish(_other_content(current[publish]))
    return [spec for publish, spec in current.items() if publish not in others]


def _has_other_content(spec: Spec, record: Record | None, seen: Seen | None) -> bool:
    """Whether this very generation is known here, and all that is known of it says something else, as after a restored control plane."""
    held = [held.spec for held in (record.pending, record.good) if held] if record else []
    known = {one.digest for one in held if one.generation == spec.generation}
    if seen and seen.generation == spec.generation and seen.digest:
        known.add(seen.digest)
    return bool(known) and spec.digest not in known


def _observed(kit: Kit) -> Observed | Unreachable:
    """The gateway's own word, before anything is written. That it gives none is said later: the specs must be safe on the disk first."""
    try:
        return kit.driver.observe()
    except Unreachable as problem:
        return problem


def _fenced(kit: Kit, specs: list[Spec], walls: Walls, finish: Finish) -> list[Held]:
    """Those inside the upstream fence, stored; the others are finished, and their generation counts as seen."""
    fence = kit.pinner.pin(specs, networks=walls.networks, reserved=(*kit.reserved, *walls.reserved))
    pins = [
        _host_taken(spec, kit.store.records, specs) or pin for spec, pin in zip(specs, fence, strict=True)
    ]
    hosts = _hosts_in_use(kit.store.records, specs)
    accepted, refused = [], []
    for spec, pin in zip(specs, pins, strict=True):
        if isinstance(pin, Refused):
            refused.append((spec, _refused(spec, pin, step="fence")))
        elif isinstance(pin, Unreachable):
            finish(_unreachable(spec, pin, step="fence"))
        else:
            accepted.append(
                Held(
                    spec=spec,
                    addresses=pin,
                    probe_host=_probe_host(kit.store.records.get(spec.publish_id), spec, hosts),
                )
            )
    kit.store.accept(
        accepted,
        seen={spec.publish_id: spec.generation for spec, _ in refused},
        networks=walls.networks,
        reserved=walls.reserved,
    )
    for _, result in refused:
        finish(result)
    return accepted


def _host_taken(spec: Spec, records: Mapping[UUID, Record], specs: list[Spec]) -> Refused | None:
    """A gateway serves a host once. What this batch does not change keeps its own: the control plane may have forgotten it, as after a restored backup."""
    changed = {one.publish_id for one in specs}
    standing = [
        record.wanted.spec for publish, record in records.items() if record.wanted and publish not in changed
    ]
    if spec.state == State.ABSENT or all(
        other.state == State.ABSENT or other.host != spec.host for other in standing
    ):
        return None
    words = "This gateway serves the hostname for another publish, which the control plane may not know any more, as after a restored backup."
    return Refused(
        f"{words} An operator has to take that one off first.", code="host_taken", entity=spec.host
    )


def _hosts_in_use(records: Mapping[UUID, Record], specs: list[Spec]) -> dict[str, UUID]:
    standing = {
        record.wanted.spec.publish_id: record.wanted.spec for record in records.values() if record.wanted
    }
    standing.update({spec.publish_id: spec for spec in specs})
    return {spec.host: spec.publish_id for spec in standing.values() if spec.state != State.ABSENT}


def _probe_host(record: Record | None, spec: Spec, hosts: Mapping[str, UUID]) -> str:
    """The host to prove a spec on. An absent one is proved on its former host, unless that belongs to another publish by now."""
    if spec.state != State.ABSENT:
        return spec.host
    former = record.wanted.probe_host if record and record.wanted else ""
    return "" if former in hosts else former


def _without_refused(store: Store, accepted: list[Held], applied: Applied, finish: Finish) -> list[Held]:
    not_taken = {*applied.refused, *applied.ahead}
    store.settle(dropped=not_taken)
    for held in accepted:
        if why := applied.refused.get(held.spec.publish_id):
            finish(_refused(held.spec, why, step="apply"))
        elif there := applied.ahead.get(held.spec.publish_id):
            finish(_stale(held.spec, there))
    return [held for held in accepted if held.spec.publish_id not in not_taken]


def _prove(kit: Kit, standing: list[Held], measured: Evidence, finish: Finish) -> None:
    with ThreadPoolExecutor(max_workers=PROOFS_AT_ONCE, thread_name_prefix="prove") as pool:
        open_proofs = {pool.submit(_prove_one, kit.driver, held, measured): held for held in standing}
        while open_proofs:
            done, _ = wait(open_proofs, return_when=FIRST_COMPLETED)
            _settle(kit.store, {future: open_proofs.pop(future) for future in done}, finish)


def _prove_one(driver: Driver, held: Held, measured: Evidence) -> Result:
    started = time.monotonic()
    try:
        proved = driver.verify(held)
    except Unreachable as problem:
        return _unreachable(held.spec, problem, step="verify")
    verify_ms = round((time.monotonic() - started) * 1000)
    evidence = proved.model_copy(
        update={"apply_ms": measured.apply_ms, "changes": measured.changes, "verify_ms": verify_ms}
    )
    return _result(held.spec, Outcome.VERIFIED, step="verify").model_copy(update={"evidence": evidence})


def _settle(store: Store, done: Mapping[Future[Result], Held], finish: Finish) -> None:
    results = [(future.result(), held) for future, held in done.items()]
    store.settle(good=[held for result, held in results if result.outcome == Outcome.VERIFIED])
    for result, _ in results:
        finish(result)


def _stale(spec: Spec, highest: int) -> Result:
    message = (
        f"Generation {spec.generation} comes after generation {highest}, which this agent or its gateway has."
    )
    return _result(spec, Outcome.STALE, step="generation").model_copy(
        update={"code": "stale", "message": message, "highest_generation": highest}
    )


def _other_content(spec: Spec) -> Result:
    message = f"Generation {spec.generation} is here already, with other content."
    return _stale(spec, spec.generation).model_copy(update={"code": "other_content", "message": message})


def _refused(spec: Spec, why: Refused, *, step: str) -> Result:
    words = {"code": why.code, "message": str(why), "entity": why.entity, "field": why.field}
    return _result(spec, Outcome.REFUSED, step=step).model_copy(update=words)


def _unreachable(spec: Spec, why: Unreachable, *, step: str) -> Result:
    return _result(spec, Outcome.UNREACHABLE, step=step).model_copy(
        update={"code": why.code, "message": str(why)}
    )


def _result(spec: Spec, outcome: Outcome, *, step: str) -> Result:
    return Result(
        publish_id=spec.publish_id,
        generation=spec.generation,
        digest=spec.digest,
        outcome=outcome,
        step=step,
        highest_generation=spec.generation,
    )
