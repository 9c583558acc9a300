"""The agents' door to publishes: heartbeat, report, specs, results.

`clusters.agent_door` decides which agents may come in.
"""

from django.conf import settings

from agent.protocol.messages import (
    Accepted,
    Heartbeat,
    HeartbeatAnswer,
    KeysLetIn,
    NewKey,
    Report,
    ReportAnswer,
    Results,
    SpecsAnswer,
    SpecsRequest,
)
from clusters import agent_keys, keys
from clusters.agent_door import agent_door
from clusters.models import Agent
from clusters.services import record_heartbeat
from publishes.engine import adoption, answers, delivery, expectations, reports


@agent_door(Heartbeat)
def heartbeat(agent: Agent, message: Heartbeat) -> HeartbeatAnswer:
    """Note that the agent is there, and say whether it should report. Two queries.

    An agent without inbound URL is told to come back soon while a person waits for its answer: nothing can be
    pushed to it.
    """
    record_heartbeat(agent, message)
    decision = expectations.heartbeat_decision(agent, message.fingerprint)
    interval_s = settings.HURRY_S if decision.is_waited_for and not agent.url else settings.HEARTBEAT_S
    return HeartbeatAnswer(
        interval_ms=round(interval_s * 1000),
        report=decision.report,
        control_plane_keys=keys.pinned_keys() if message.pinned not in {"", keys.current_set()} else (),
        new_key=agent.key_asked_at is not None,
    )


@agent_door(NewKey)
def new_key(agent: Agent, message: NewKey) -> Accepted:
    """Take an agent's next key."""
    agent_keys.register(agent, message)
    return Accepted()


@agent_door(Report)
def report(agent: Agent, message: Report) -> ReportAnswer:
    """Record what the agent carries.

    The answer names what the agent should fetch, what it may forget, and of which publishes it should name
    the keys.
    """
    return reports.take(agent, message)


@agent_door(KeysLetIn)
def keys_let_in(agent: Agent, message: KeysLetIn) -> Accepted:
    """Note which keys an agent that is ahead of us lets in."""
    adoption.note_keys(agent, message)
    return Accepted()


@agent_door(SpecsRequest)
def specs(agent: Agent, message: SpecsRequest) -> SpecsAnswer:
    """Hand out current specs."""
    items = delivery.fetch(agent, message.publish_ids)
    return SpecsAnswer(
        items=tuple(items),
        upstream_networks=tuple(agent.cluster.upstream_networks),
        reserved=tuple(settings.RESERVED_ENDPOINTS),
    )


@agent_door(Results)
def results(agent: Agent, message: Results) -> Accepted:
    """Take results that came late or from a pull."""
    answers.record_in_parts(agent, message.results)
    return Accepted()
