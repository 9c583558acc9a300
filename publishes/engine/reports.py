"""What an agent's report does: each row is classified once, with set queries, and each class goes to its room in bulk.

A page of a report costs the same number of queries whatever stands in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from agent.protocol.messages import Carried, Report, ReportAnswer
from agent.protocol.spec import State
from clusters.models import Agent
from publishes.choices import Desired
from publishes.engine import adoption, alarms, answers, expectations, observations, settlement


@dataclass(frozen=True, kw_only=True)
class Classified:
    """The rows of a page: of publishes that we know or do not, those that are ahead of us, and those that confirm what was awaited.

    `behind` are the publishes that the agent should fetch, named or not.
    """

    known: Sequence[Carried]
    unknown: Sequence[Carried]
    ahead: Sequence[Carried]
    confirms: Sequence[Carried]
    behind: Sequence[UUID]


def classify(agent: Agent, page: Report) -> Classified:
    """Two queries; nothing is changed."""
    carried = {row.publish_id: row for row in page.carried if page.covers(row.publish_id)}
    named = expectations.publishes_of(agent).filter(pk__in=carried).annotate(**expectations.word_of(agent))
    ours: dict[UUID, Any] = {publish.pk: publish for publish in named}
    ahead = {pk: carried[pk] for pk, publish in ours.items() if alarms.is_ahead(carried[pk], publish)}
    standing = {pk: carried[pk] for pk in ours.keys() - ahead.keys()}
    settled = {
        pk: row
        for pk, row in standing.items()
        if row.verified and (row.generation, row.digest) == (ours[pk].generation, ours[pk].desired_digest)
    }
    return Classified(
        known=[carried[pk] for pk in ours],
        unknown=[row for pk, row in carried.items() if pk not in ours],
        ahead=[*ahead.values()],
        confirms=[row for pk, row in settled.items() if ours[pk].is_unconfirmed],
        behind=[
            *expectations.missing(agent, page=page),
            *(pk for pk, row in standing.items() if pk not in settled and _is_behind(row, ours[pk])),
        ],
    )


def take(agent: Agent, page: Report) -> ReportAnswer:
    """Believe what an agent says it carries, and name the publishes whose current spec it should fetch, and those that it may forget.

    The answer to the last page names those, of all pages, whose keys the agent should name.

    Left alone are those that are as they should be, those that a push is under way for, and what is to be absent and was confirmed so.
    """
    rows = classify(agent, page)
    unwanted = alarms.note_unknown(agent, rows.unknown, page=page)
    observations.observe(agent, rows.known, page=page)
    if rows.ahead:
        settlement.freeze(agent, *rows.ahead)
    if rows.confirms:
        answers.confirm(agent, rows.confirms)
    return ReportAnswer(
        wanted=(*rows.behind, *unwanted),
        forget=tuple(observations.old_absences(agent, page=page)),
        keys_asked=() if page.until else tuple(adoption.keys_asked(agent)),
    )


def _is_behind(row: Carried, publish: Any) -> bool:
    if publish.frozen_at is not None or publish.is_pushed or not publish.generation:
        return False
    return publish.is_unconfirmed or publish.desired_state != Desired.ABSENT or row.state is not State.ABSENT
