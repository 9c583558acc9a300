"""AgentClient: the only place that sends anything to an agent."""

import json

from django.conf import settings
from pydantic import ValidationError

from agent.protocol import fence
from agent.protocol.messages import PATH_COMMANDS, Command, CommandAnswer
from agent.protocol.signing import CONTROL_PLANE, Purpose, Sealed, SignatureRefused, import_key, seal, unseal
from clusters import keys
from clusters.errors import AgentSilentError
from clusters.models import Agent
from core import outbound
from core.outbound import OutboundFailed

MAX_ANSWER_BYTES = 1024 * 1024
LOOPBACK = ("127.0.0.0/8", "::1/128")
_WORDS = {
    "too_slow": "The agent did not answer in time.",
    "too_large": "The agent's answer is too large.",
    "slow_name": "The agent's host name could not be looked up in time.",
    "unresolvable": "The agent's URL is not allowed (AGENT_NETWORKS): its host has no address.",
}


def send(agent: Agent, command: Command) -> CommandAnswer:
    """Send a signed command and return the agent's signed answer. Raises AgentSilentError, always worth another try.

    No transaction may be open. The answer, to its last byte, is awaited for SEND_DEADLINE_S in all.
    """
    sealed = seal(keys.signing_key(), command.model_dump_json(), purpose=Purpose.COMMAND, issuer=CONTROL_PLANE, audience=str(agent.pk))
    request = outbound.Request(
        url=agent.url.rstrip("/") + PATH_COMMANDS,
        method="POST",
        content=sealed.token,
        headers={"Content-Type": "application/jose"},
        deadline_s=settings.SEND_DEADLINE_S,
        limit=MAX_ANSWER_BYTES,
    )
    try:
        answer = outbound.ask(request, _rules())
    except OutboundFailed as problem:
        raise AgentSilentError(_words(problem)) from problem
    body = answer.body.decode(errors="replace")
    if answer.status not in {200, 202}:
        raise AgentSilentError(f"The agent answered {answer.status}: {_detail(body)}")
    try:
        return _open_answer(agent, body, sealed)
    except (SignatureRefused, ValidationError) as problem:
        raise AgentSilentError("The agent's answer cannot be believed or read.") from problem


def _rules() -> outbound.Rules:
    return outbound.Rules(around=fence.Fence.of(settings.AGENT_NETWORKS), http_networks=fence.Fence.of(LOOPBACK).networks)


def _words(problem: OutboundFailed) -> str:
    if problem.is_final:
        return f"The agent's URL is not allowed (AGENT_NETWORKS): {problem.__cause__ or problem.code}"
    return _WORDS.get(problem.code, f"The agent cannot be reached ({type(problem.__cause__).__name__}).")


def _open_answer(agent: Agent, body: str, sealed: Sealed) -> CommandAnswer:
    known = [import_key(key.public_jwk) for key in agent.keys.live()]
    opened = unseal(body, known, purpose=Purpose.ANSWER, audience=CONTROL_PLANE, issuer=str(agent.pk), answers=sealed.id)
    return CommandAnswer.model_validate_json(opened.body)


def _detail(body: str) -> str:
    try:
        return str(json.loads(body)["detail"])[:300]
    except (ValueError, KeyError, TypeError):
        return "no reason given."
