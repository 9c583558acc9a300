"""What this agent carries: the records on its disk compared with what the gateway shows.

Neither is believed alone.
"""

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
    """One line per publish of the records, and per publish that only the gateway shows.

    A publish is verified when record and gateway agree.
    """
    try:
        observed = driver.observe(hasty=True)
    except Unreachable as problem:
        log.warning("gateway_not_observed", reason=str(problem))
        observed = Observed(carried={}, in_force=False)
    lines = [_line(publish, record, observed) for publish, record in records.items()]
    return lines + [
        _unknown(publish, shown) for publish, shown in observed.carried.items() if publish not in records
    ]


def fingerprint_of(carried: list[Carried]) -> str:
    """The heartbeat's fingerprint: over what is verified and not absent."""
    return fingerprint(
        [
            (line.publish_id, line.generation, line.digest)
            for line in carried
            if line.verified and line.state != State.ABSENT
        ]
    )


def let_in(carried: Iterable[Carried], records: Mapping[UUID, Record], *, of: Iterable[UUID]) -> list[LetIn]:
    """The keys that these publishes let in, by the lines of a report.

    A publish that is not verified, or that only the gateway shows, is left out.
    """
    lines = {line.publish_id: line for line in carried}
    requested = [
        (lines[publish], records[publish]) for publish in of if publish in lines and publish in records
    ]
    return [
        LetIn(
            publish_id=line.publish_id,
            generation=line.generation,
            keys=tuple(key.id for key in good.spec.auth.keys),
        )
        for line, record in requested
        if (good := record.good)
        and line.verified
        and (good.spec.generation, good.spec.digest) == (line.generation, line.digest)
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
    shown = observed.carried.get(publish)
    if shown and shown.generation > record.highest:
        return _unknown(publish, shown)
    if record.good and observed.in_force and _shows(shown, record.good):
        return _carried(record.good, verified=True)
    if record.desired:
        return _carried(record.desired, verified=False)
    # Every spec of it was refused; only the generation is known.
    return Carried(
        publish_id=publish, generation=record.highest, digest="", state=State.ABSENT, verified=False
    )


def _shows(shown: ShownState | None, pinned_spec: PinnedSpec) -> bool:
    if pinned_spec.spec.state == State.ABSENT:
        return shown is None
    return shown == ShownState(generation=pinned_spec.spec.generation, digest=pinned_spec.spec.digest)


def _carried(pinned_spec: PinnedSpec, *, verified: bool) -> Carried:
    spec = pinned_spec.spec
    return Carried(
        publish_id=spec.publish_id,
        generation=spec.generation,
        digest=spec.digest,
        state=spec.state,
        verified=verified,
    )


def _unknown(publish: UUID, shown: ShownState) -> Carried:
    # The state folder is lost or old, or another agent wrote to this gateway. The control plane knows
    # whether the publish is live or withdrawn.
    return Carried(
        publish_id=publish, generation=shown.generation, digest=shown.digest, state=State.LIVE, verified=False
    )
