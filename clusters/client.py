"""AgentClient: the only place that opens a socket to an agent."""

import asyncio
import json
import ssl
from dataclasses import dataclass
from functools import cache, partial
from urllib.parse import urlsplit

import httpx2
from django.conf import settings
from pydantic import ValidationError

from agent.protocol import fence
from agent.protocol.messages import PATH_COMMANDS, Command, CommandAnswer
from agent.protocol.signing import CONTROL_PLANE, Purpose, Sealed, SignatureRefused, import_key, seal, unseal
from clusters import keys
from clusters.errors import AgentSilentError
from clusters.models import Agent
from core.deadlines import within

MAX_ANSWER_BYTES = 1024 * 1024
CONNECT_TIMEOUT_S = 1.0


def send(agent: Agent, command: Command) -> CommandAnswer:
    """Send a signed command and return the agent's signed answer. Raises AgentSilentError, always worth another try.

    No transaction may be open. The answer, to its last byte, is awaited for SEND_DEADLINE_S in all.
    """
    sealed = seal(keys.signing_key(), command.model_dump_json(), purpose=Purpose.COMMAND, issuer=CONTROL_PLANE, audience=str(agent.pk))
    try:
        body = asyncio.run(_post_in_time(_target(agent.url), sealed))
        return _open_answer(agent, body, sealed)
    except fence.FenceRefused as problem:
        raise AgentSilentError(f"The agent's URL is not allowed (AGENT_NETWORKS): {problem}") from problem
    except (TimeoutError, httpx2.TimeoutException) as problem:
        raise AgentSilentError("The agent did not answer in time.") from problem
    except httpx2.HTTPError as problem:
        raise AgentSilentError(f"The agent cannot be reached ({type(problem).__name__}).") from problem
    except (SignatureRefused, ValidationError) as problem:
        raise AgentSilentError("The agent's answer cannot be believed or read.") from problem


@dataclass(frozen=True, kw_only=True)
class _Target:
    """Where a command goes: the address that was checked, and the name that the agent goes by."""

    url: str
    netloc: str
    host: str


def _target(url: str) -> _Target:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    # The checked address is the one that is connected to, so that a name cannot change its mind in between.
    address = within(CONNECT_TIMEOUT_S, {"address": partial(_checked_address, host, port)}).get("address")
    if address is None:
        raise AgentSilentError("The agent's host name could not be looked up in time.")
    if isinstance(address, fence.FenceRefused):
        raise address
    literal = f"[{address}]" if address.version == 6 else str(address)
    return _Target(url=f"{parts.scheme}://{literal}:{port}{parts.path.rstrip('/')}{PATH_COMMANDS}", netloc=parts.netloc, host=host)


def _checked_address(host: str, port: int) -> fence.Address | fence.FenceRefused:
    try:
        return fence.check(host, port, fence.Fence.of(settings.AGENT_NETWORKS))[0]
    except fence.FenceRefused as refusal:
        return refusal


@cache
def _tls() -> ssl.SSLContext:
    # Reading the certificate authorities takes longer than the rest of a push, so it is done once.
    return ssl.create_default_context()


async def _post_in_time(target: _Target, sealed: Sealed) -> str:
    # A deadline over the whole exchange needs something that can be cancelled at any byte, and that is a task, not a thread.
    async with asyncio.timeout(settings.SEND_DEADLINE_S), httpx2.AsyncClient(trust_env=False, follow_redirects=False, verify=_tls()) as http:
        return await _post(http, target, sealed)


async def _post(http: httpx2.AsyncClient, target: _Target, sealed: Sealed) -> str:
    request = http.stream(
        "POST",
        target.url,
        content=sealed.token,
        headers={"Host": target.netloc, "Content-Type": "application/jose"},
        timeout=httpx2.Timeout(settings.SEND_DEADLINE_S, connect=CONNECT_TIMEOUT_S),
        extensions={"sni_hostname": target.host},
    )
    async with request as response:
        body = await _read(response)
    if response.status_code not in {200, 202}:
        raise AgentSilentError(f"The agent answered {response.status_code}: {_detail(body)}")
    return body


async def _read(response: httpx2.Response) -> str:
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise AgentSilentError("The agent's answer is too large.")
    return body.decode(errors="replace")


def _open_answer(agent: Agent, body: str, sealed: Sealed) -> CommandAnswer:
    known = [import_key(key.public_jwk) for key in agent.keys.all() if key.revoked_at is None]
    opened = unseal(body, known, purpose=Purpose.ANSWER, audience=CONTROL_PLANE, issuer=str(agent.pk), answers=sealed.id)
    return CommandAnswer.model_validate_json(opened.body)


def _detail(body: str) -> str:
    try:
        return str(json.loads(body)["detail"])[:300]
    except (ValueError, KeyError, TypeError):
        return "no reason given."
