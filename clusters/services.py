"""Changes to agents: enrolment by one-time code, and what a heartbeat tells."""

import base64
import hashlib
import json
import secrets
from datetime import timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from agent.protocol import fence
from agent.protocol.messages import EnrolRequest, Heartbeat
from agent.protocol.signing import SignatureRefused, import_key, public_jwk
from clusters import keys
from clusters.errors import EnrolmentRefused
from clusters.models import Agent, AgentKey, AgentLiveness, Cluster, EnrolmentCode, UsedRequest
from core.problems import Invalid

CODE_LIFETIME = timedelta(hours=1)


@transaction.atomic
def create_enrolment_code(cluster: Cluster, *, agent_name: str) -> str:
    """A one-time code, valid for an hour, for a new agent of that name or for the existing one (whose old key ends with its use)."""
    agent = Agent(cluster=cluster, name=agent_name)
    agent.full_clean(exclude=["cluster"], validate_unique=False, validate_constraints=False)
    agent, _created = Agent.objects.get_or_create(cluster=cluster, name=agent_name)
    secret = secrets.token_urlsafe(24)
    EnrolmentCode.objects.create(agent=agent, secret_hash=_hash(secret), expires_at=timezone.now() + CODE_LIFETIME)
    content = {"url": settings.PUBLIC_URL, "fingerprint": keys.fingerprint(), "secret": secret}
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@transaction.atomic
def enrol(request: EnrolRequest) -> Agent:
    """Use a code: the program becomes the code's agent with its new key. Raises EnrolmentRefused or Invalid."""
    code = _consume_code(request.secret)
    agent = code.agent
    check_agent_url(request.url)
    AgentKey.objects.filter(agent=agent, revoked_at=None).update(revoked_at=Now())
    AgentKey.objects.create(agent=agent, public_jwk=_checked_public_key(request.public_key))
    agent.driver, agent.url, agent.blocked_at = request.driver, request.url, None
    agent.save(update_fields=["driver", "url", "blocked_at", "updated_at"])
    return agent


def record_heartbeat(agent: Agent, heartbeat: Heartbeat) -> None:
    """Keep what a heartbeat says; the time is the database's."""
    told = {
        "last_seen_at": Now(),
        "gateway_ok": heartbeat.gateway_ok,
        "gateway_error": heartbeat.gateway_error[:500],
        "gateway_version": heartbeat.gateway_version[:100],
        "gateway_mode": heartbeat.gateway_mode[:50],
        "agent_version": heartbeat.agent_version[:50],
        "proxy_url": heartbeat.proxy_url[:200],
        "reserved": [text[:300] for text in heartbeat.reserved[:20]],
    }
    if not AgentLiveness.objects.filter(pk=agent.pk).update(**told):
        AgentLiveness.objects.update_or_create(pk=agent.pk, defaults=told)


def check_agent_url(url: str) -> None:
    """An agent's inbound URL: empty, or https (http on loopback only) inside AGENT_NETWORKS. Raises Invalid."""
    if not url:
        return
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        addresses = fence.check(parts.hostname or "", port, fence.Fence.of(settings.AGENT_NETWORKS))
    except (ValueError, fence.FenceRefused) as problem:
        raise Invalid(f"The agent's URL {url} is not usable: {problem} (AGENT_NETWORKS lists what operators allow.)", code="agent_url") from problem
    if parts.scheme != "https" and not (parts.scheme == "http" and all(address.is_loopback for address in addresses)):
        raise Invalid(f"The agent's URL {url} must be https; http is for loopback only.", code="agent_url")


def forget_used_requests() -> None:
    """Drop ids of requests that have expired; the sweep calls this."""
    UsedRequest.objects.filter(expires_at__lt=Now()).delete()


def _consume_code(secret: str) -> EnrolmentCode:
    # One conditional UPDATE decides: of two programs with one code, one becomes the agent.
    usable = EnrolmentCode.objects.filter(secret_hash=_hash(secret), consumed_at=None, expires_at__gt=Now())
    if not usable.update(consumed_at=Now()):
        raise EnrolmentRefused
    return EnrolmentCode.objects.select_related("agent__cluster").get(secret_hash=_hash(secret))


def _checked_public_key(jwk: dict[str, str]) -> dict[str, str]:
    try:
        return public_jwk(import_key(jwk))
    except SignatureRefused as problem:
        raise Invalid(str(problem), code="agent_key") from problem


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
