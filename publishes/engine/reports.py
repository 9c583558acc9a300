"""What an agent's report does: each row is classified once, by set queries; each class is handled in bulk.

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
from publishes.models import ProductPublish


@dataclass(frozen=True, kw_only=True)
class Classified:
    """The rows of a page, by class: of known or unknown publishes, ahead of us, and confirming.

    `behind` are the publishes that the agent should fetch, whether the page names them or not.
    """

    of_known: Sequence[Carried]
    of_unknown: Sequence[Carried]
    ahead: Sequence[Carried]
    confirms: Sequence[Carried]
    behind: Sequence[UUID]


def classify(agent: Agent, page: Report) -> Classified:
    """Two queries; nothing is changed."""
    carried = {row.publish_id: row for row in page.carried if page.covers(row.publish_id)}
    rows = expectations.publishes_of(agent).filter(pk__in=carried)
    annotated = rows.annotate(**expectations.delivery_states_of(agent))
    publishes_by_id: dict[UUID, Any] = {publish.pk: publish for publish in annotated}
    ahead, confirms, behind = list[Carried](), list[Carried](), list[UUID]()
    for pk, publish in publishes_by_id.items():
        if alarms.is_ahead(carried[pk], publish):
            ahead.append(carried[pk])
        elif _is_as_desired(carried[pk], publish):
            if publish.is_unconfirmed:
                confirms.append(carried[pk])
        elif _is_behind(carried[pk], publish):
            behind.append(pk)
    return Classified(
        of_known=[carried[pk] for pk in publishes_by_id],
        of_unknown=[row for pk, row in carried.items() if pk not in publishes_by_id],
        ahead=ahead,
        confirms=confirms,
        behind=[*expectations.missing(agent, page=page), *behind],
    )


def take(agent: Agent, page: Report) -> ReportAnswer:
    """Record what an agent says it carries, and name the publishes that it should fetch or may forget.

    Named for fetching are neither publishes that are as desired, nor those with a push under way, nor
    confirmed absences. The answer to the last page asks for the keys of publishes of all pages.
    """
    classified = classify(agent, page)
    unwanted = alarms.note_unknown(agent, classified.of_unknown, page=page)
    observations.observe(agent, classified.of_known, page=page)
    if classified.ahead:
        settlement.freeze(agent, *classified.ahead)
    if classified.confirms:
        answers.confirm(agent, classified.confirms)
    return ReportAnswer(
        wanted=(*classified.behind, *unwanted),
        forget=tuple(observations.old_absences(agent, page=page)),
        keys_asked=() if page.until else tuple(adoption.publishes_with_unnamed_keys(agent)),
    )


def _is_as_desired(row: Carried, publish: ProductPublish) -> bool:
    return row.verified and (row.generation, row.digest) == (publish.generation, publish.desired_digest)


def _is_behind(row: Carried, publish: Any) -> bool:
    if publish.frozen_at is not None or publish.is_pushed or not publish.generation:
        return False
    return publish.is_unconfirmed or publish.desired_state != Desired.ABSENT or row.state is not State.ABSENT
