"""What this agent can say it carries: its memory held against what the gateway shows. Believes neither alone."""

from collections.abc import Iterable, Mapping
from operator import attrgetter
from uuid import UUID

import structlog

from agent.drivers.base import Driver, Observed, PinnedSpec, ShownState, Unreachable
from agent.protocol.bounds import REPORT_ROWS
from agent.protocol.messages import LET_IN_AT_ONCE, Carried, LetIn, Report
from agent.protocol.spec import State, fingerprint
from agent.work.state import Record

log = structlog.get_logger()


def carried_now(driver: Driver, records: Mapping[UUID, Record]) -> list[Carried]:
    """One line per publish ever accepted, and per publish that only the gateway knows of. Verified needs both sides to agree."""
    try:
        observed = driver.observe(hasty=True)
    except Unreachable as problem:
        log.warning("gateway_not_observed", reason=str(problem))
        observed = Observed(carried={}, in_force=False)
    known = [_line(publish, record, observed) for publish, record in records.items()]
    return known + [
        _unknown(publish, seen) for publish, seen in observed.carried.items() if publish not in records
    ]


def fingerprint_of(carried: list[Carried]) -> str:
    """The heartbeat's fingerprint: over what is verified and not absent."""
    return fingerprint(
        [
            (one.publish_id, one.generation, one.digest)
            for one in carried
            if one.verified and one.state != State.ABSENT
        ]
    )


def let_in(carried: Iterable[Carried], records: Mapping[UUID, Record], *, of: Iterable[UUID]) -> list[LetIn]:
    """The keys that stand in what was said to be carried; of what only the gateway knows, nothing."""
    lines = {one.publish_id: one for one in carried}
    asked = [(lines[publish], records[publish]) for publish in of if publish in lines and publish in records]
    return [
        LetIn(
            publish_id=line.publish_id,
            generation=line.generation,
            keys=tuple(key.id for key in kept.spec.auth.keys),
        )
        for line, record in asked
        if (kept := record.good)
        and line.verified
        and (kept.spec.generation, kept.spec.digest) == (line.generation, line.digest)
    ][:LET_IN_AT_ONCE]


def pages_of(carried: Iterable[Carried]) -> list[Report]:
    """The report in pages, in the order of ids; together they speak of every publish."""
    lines = sorted(carried, key=attrgetter("publish_id"))
    parts = [tuple(lines[start : start + REPORT_ROWS]) for start in range(0, len(lines), REPORT_ROWS)] or [()]
    ends = [part[-1].publish_id for part in parts[:-1]]
    return [
        Report(carried=part, after=after, until=until)
        for part, after, until in zip(parts, [None, *ends], [*ends, None], strict=True)
    ]


def _line(publish: UUID, record: Record, observed: Observed) -> Carried:
    seen = observed.carried.get(publish)
    if seen and seen.generation > record.highest:
        return _unknown(publish, seen)
    if record.good and observed.in_force and _shows(seen, record.good):
        return _carried(record.good, verified=True)
    if record.wanted:
        return _carried(record.wanted, verified=False)
    # All it ever got was refused; only the generation is known.
    return Carried(
        publish_id=publish, generation=record.highest, digest="", state=State.ABSENT, verified=False
    )


def _shows(seen: ShownState | None, held: PinnedSpec) -> bool:
    if held.spec.state == State.ABSENT:
        return seen is None
    return seen == ShownState(generation=held.spec.generation, digest=held.spec.digest)


def _carried(held: PinnedSpec, *, verified: bool) -> Carried:
    spec = held.spec
    return Carried(
        publish_id=spec.publish_id,
        generation=spec.generation,
        digest=spec.digest,
        state=spec.state,
        verified=verified,
    )


def _unknown(publish: UUID, seen: ShownState) -> Carried:
    # The state folder is lost or old, or another agent of this gateway was there; the control plane knows whether this one is live or withdrawn.
    return Carried(
        publish_id=publish, generation=seen.generation, digest=seen.digest, state=State.LIVE, verified=False
    )
