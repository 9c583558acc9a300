"""AgentClient: the only place that sends anything to an agent."""

import json
from typing import Annotated

import structlog
from django.conf import settings
from django.utils.translation import gettext_noop
from pydantic import TypeAdapter, ValidationError

import fence
from agent.protocol.bounds import excerpt
from agent.protocol.messages import PATH_COMMANDS, Command, CommandAnswer
from agent.protocol.signing import CONTROL_PLANE, Purpose, Sealed, SignatureRefused, import_key, seal, unseal
from clusters import keys
from clusters.errors import AgentSilentError
from clusters.models import Agent
from core.security import outbound
from core.security.names import AGENTS
from core.security.outbound import OutboundFailed

log = structlog.get_logger(__name__)

MAX_ANSWER_BYTES = 1024 * 1024
_DETAIL: TypeAdapter[str] = TypeAdapter(Annotated[str, excerpt(300)])
LOOPBACK = ("127.0.0.0/8", "::1/128")
# Stored in English, and translated when shown.
_TEXTS = {
    "too_slow": gettext_noop("The agent did not answer in time."),
    "too_large": gettext_noop("The agent's answer is too large."),
    "slow_name": gettext_noop("The agent's host name could not be resolved in time."),
    "unresolvable": gettext_noop("The agent's URL is not allowed (AGENT_NETWORKS): its host has no address."),
}
_NOT_ALLOWED = gettext_noop("The agent's URL is not allowed (AGENT_NETWORKS). Ask an operator.")
_UNREACHABLE = gettext_noop("The agent is unreachable: the connection to its URL failed.")
_UNREADABLE = gettext_noop("The agent's answer is unreadable or not authentic.")


def send(agent: Agent, command: Command) -> CommandAnswer:
    """Send a signed command and return the agent's signed answer.

    Raises AgentSilentError, which allows a retry.

    No transaction may be open. The whole exchange takes SEND_DEADLINE_S at most.
    """
    sealed = seal(
        keys.signing_key(),
        command.model_dump_json(),
        purpose=Purpose.COMMAND,
        issuer=CONTROL_PLANE,
        audience=str(agent.pk),
    )
    request = outbound.Request(
        url=agent.url.rstrip("/") + PATH_COMMANDS,
        method="POST",
        content=sealed.token,
        headers={"Content-Type": "application/jose"},
        deadline_s=settings.SEND_DEADLINE_S,
        limit=MAX_ANSWER_BYTES,
    )
    try:
        answer = outbound.ask(request, _rules(agent))
    except OutboundFailed as problem:
        log.info("agent_silent", agent=str(agent.pk), code=problem.code, cause=repr(problem.__cause__)[:200])
        raise AgentSilentError(_text_of(problem)) from problem
    body = answer.body.decode(errors="replace")
    if answer.status not in {200, 202}:
        raise AgentSilentError(f"The agent answered {answer.status}: {_detail(body)}")
    try:
        return _open_answer(agent, body, sealed)
    except (SignatureRefused, ValidationError) as problem:
        raise AgentSilentError(_UNREADABLE) from problem


def _rules(agent: Agent) -> outbound.Rules:
    plain = fence.Fence.of(LOOPBACK).networks
    return outbound.Rules(
        networks=tuple(settings.AGENT_NETWORKS), names=AGENTS, owner=agent.pk, http_networks=plain
    )


def _text_of(problem: OutboundFailed) -> str:
    return _NOT_ALLOWED if problem.is_final else _TEXTS.get(problem.code, _UNREACHABLE)


def _open_answer(agent: Agent, body: str, sealed: Sealed) -> CommandAnswer:
    keys = [import_key(key.public_jwk) for key in agent.keys.accepted()]
    opened = unseal(
        body, keys, purpose=Purpose.ANSWER, audience=CONTROL_PLANE, issuer=str(agent.pk), answers=sealed.id
    )
    return CommandAnswer.model_validate_json(opened.body)


def _detail(body: str) -> str:
    try:
        return _DETAIL.validate_python(str(json.loads(body)["detail"]))
    except (ValueError, KeyError, TypeError):
        return "no reason given."
