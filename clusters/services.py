"""Services of agents: enrolment by one-time code, blocking, heartbeats."""

import base64
import hashlib
import json
import secrets
from datetime import timedelta
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db import transaction
from django.db.models.functions import Now
from django.db.models.query import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

import fence
from agent.protocol import OLDEST
from agent.protocol.messages import EnrolRequest, Heartbeat
from agent.protocol.signing import SignatureRefused, import_key, public_jwk
from clusters import agent_keys, keys, liveness
from clusters.errors import AgentOutdated, EnrolmentRefused
from clusters.models import Agent, AgentEvent, AgentKey, AgentLiveness, Cluster, EnrolmentCode, UsedRequest
from clusters.rules import NAME
from core.problems import Invalid
from core.security.names import AGENTS
from core.texts import is_storable

log = structlog.get_logger(__name__)

CODE_LIFETIME = timedelta(hours=1)
FAILURES_A_MINUTE = 10
"""Bad codes per address and minute."""
LOOK_UP_S = 2.0
URL_MAX = 200


@transaction.atomic
def create_enrolment_code(cluster: Cluster, *, agent_name: str, by: str = "") -> str:
    """A one-time code, valid for an hour, for a new agent, or for the existing one of that name.

    Using the code ends the existing agent's old key.
    """
    agent = Agent(cluster=cluster, name=agent_name)
    agent.full_clean(exclude=["cluster"], validate_unique=False, validate_constraints=False)
    agent, _is_new = Agent.objects.get_or_create(cluster=cluster, name=agent_name)
    secret = secrets.token_urlsafe(24)
    EnrolmentCode.objects.create(
        agent=agent, secret_hash=_hash(secret), expires_at=timezone.now() + CODE_LIFETIME
    )
    liveness.record(agent, AgentEvent.Kind.CODE_MADE, by=by)
    content = {"url": settings.PUBLIC_URL, "fingerprint": keys.fingerprint(), "secret": secret}
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def enrol(request: EnrolRequest) -> Agent:
    """Use a code: the program becomes the agent with its new key; the agent's other codes and keys end.

    The code is checked first, so that a stranger learns nothing. Raises EnrolmentRefused, AgentOutdated, and
    Invalid, which leaves the code usable.
    """
    if not _usable_codes(request.secret).exists():
        raise EnrolmentRefused
    if request.protocol < OLDEST:
        raise AgentOutdated.of(request.protocol)
    check_agent_url(request.url)  # resolves a name, so no transaction may be open yet
    key, driver = _checked_public_key(request.public_key), _checked_driver(request.driver)
    with transaction.atomic():
        agent = _consume_code(request.secret).agent
        EnrolmentCode.objects.filter(agent=agent, consumed_at=None).update(consumed_at=Now())
        AgentKey.objects.accepted().filter(agent=agent).update(revoked_at=Now())
        agent_keys.store(agent, key)
        agent.driver, agent.url = driver, request.url
        agent.save(update_fields=["driver", "url", "updated_at"])
        liveness.record(agent, AgentEvent.Kind.ENROLLED, message=driver)
        return agent


@transaction.atomic
def block(agent: Agent, *, by: str) -> None:
    """Block an agent: its requests are refused, nothing more is sent to it, and its hosts stay claimed."""
    if Agent.objects.filter(pk=agent.pk, blocked_at=None).update(blocked_at=Now()):
        liveness.record(agent, AgentEvent.Kind.BLOCKED, by=by)


@transaction.atomic
def unblock(agent: Agent, *, by: str) -> None:
    """Unblock an agent, with its current key."""
    if Agent.objects.filter(pk=agent.pk, blocked_at__isnull=False).update(blocked_at=None):
        liveness.record(agent, AgentEvent.Kind.UNBLOCKED, by=by)


def record_heartbeat(agent: Agent, heartbeat: Heartbeat) -> None:
    """Store a heartbeat with the database's time. Raises AgentOutdated for a protocol that is too old."""
    values = {
        "last_seen_at": Now(),
        "gateway_ok": heartbeat.gateway_ok,
        "gateway_error": heartbeat.gateway_error,
        "gateway_version": heartbeat.gateway_version,
        "gateway_mode": heartbeat.gateway_mode,
        "agent_version": heartbeat.agent_version,
        "proxy_url": heartbeat.proxy_url,
        "protocol": heartbeat.protocol,
        "pinned": heartbeat.pinned,
        "reserved": [text for text in heartbeat.reserved if _is_endpoint(text)],
    }
    if heartbeat.protocol < OLDEST:
        values |= {
            "gateway_ok": False,
            "gateway_error": str(AgentOutdated.of(heartbeat.protocol).detail)[:500],
        }
    if not AgentLiveness.objects.filter(pk=agent.pk).update(**values):
        AgentLiveness.objects.update_or_create(pk=agent.pk, defaults=values)
    if heartbeat.protocol < OLDEST:
        raise AgentOutdated.of(heartbeat.protocol)


def check_agent_url(url: str) -> None:
    """Check an agent's inbound URL: empty, or https (http only on loopback) inside AGENT_NETWORKS.

    Raises Invalid, which discloses no address. No transaction may be open. A name is resolved for two seconds
    at most.
    """
    if not url:
        return
    if reason := _url_fault(url):
        log.warning("agent_url_refused", reason=reason)
        raise Invalid(
            _(
                "Invalid agent URL: use https (http only on loopback), a host inside AGENT_NETWORKS, "
                "and no user name."
            ),
            code="agent_url",
        )


def _url_fault(url: str) -> str:
    """The fault of an agent's URL, for the log; empty when it is valid."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        is_plain = is_storable(url) and len(url) <= URL_MAX and parts.username is None
        if parts.scheme not in {"https", "http"} or not parts.hostname or not is_plain:
            return "it is not an address such as https://host:port"
        resolver = AGENTS.find([[parts.hostname]], deadline_s=LOOK_UP_S, owner=parts.hostname)
        addresses = fence.check(
            parts.hostname, port, fence.Fence.of(settings.AGENT_NETWORKS), resolver=resolver
        )
    except (ValueError, fence.FenceRefused) as problem:
        return str(problem)
    is_allowed = parts.scheme == "https" or all(address.is_loopback for address in addresses)
    return "" if is_allowed else "http is only for loopback"


def forget_used_requests() -> None:
    """Delete expired ids of requests; the sweep calls this."""
    UsedRequest.objects.filter(expires_at__lt=Now()).delete()


def _usable_codes(secret: str) -> QuerySet[EnrolmentCode]:
    return EnrolmentCode.objects.filter(secret_hash=_hash(secret), consumed_at=None, expires_at__gt=Now())


def _consume_code(secret: str) -> EnrolmentCode:
    # One conditional UPDATE on this row alone decides which of two programs becomes the agent. A condition on
    # another table would be a subquery, which PostgreSQL does not evaluate again after waiting for the row.
    if not _usable_codes(secret).update(consumed_at=Now()):
        raise EnrolmentRefused
    code = EnrolmentCode.objects.select_related("agent__cluster").get(secret_hash=_hash(secret))
    if code.agent.blocked_at is not None:
        raise EnrolmentRefused
    return code


def _checked_public_key(jwk: dict[str, str]) -> dict[str, str]:
    try:
        return public_jwk(import_key(jwk))
    except SignatureRefused as problem:
        raise Invalid(str(problem), code="agent_key") from problem


def _checked_driver(driver: str) -> str:
    try:
        NAME(driver)
        MaxLengthValidator(20)(driver)
    except ValidationError as problem:
        raise Invalid(
            f"{driver!r} is not the name of a driver: lowercase letters, digits and hyphens, 20 at most.",
            code="agent_driver",
        ) from problem
    return driver


def _is_endpoint(text: str) -> bool:
    try:
        host, port = fence.split_endpoint(text)
    except ValueError:
        return False
    return bool(host) and 0 < port < 65536


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
