"""Agents' keys: requested, registered, taken into use (which ends the older keys), revoked by operators."""

from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from agent.protocol.messages import NewKey
from agent.protocol.signing import CONTROL_PLANE, Purpose, SignatureRefused, import_key, public_jwk, unseal
from clusters import liveness
from clusters.models import Agent, AgentEvent, AgentKey
from core.problems import Invalid

IN_USE = _("This key is in use already, perhaps by another agent. Make a new one for this agent.")
OVERLAP = timedelta(seconds=60)
"""How long a replaced key is still accepted, because its last messages may be in flight."""


def request_new(agent: Agent, *, by: str) -> None:
    """Ask an agent for a new key at its next heartbeat. The old key keeps working."""
    Agent.objects.filter(pk=agent.pk).update(key_asked_at=Now())
    liveness.record(agent, AgentEvent.Kind.KEY_ASKED, by=by)


def request_for_old_keys() -> None:
    """Ask agents with a key older than AGENT_KEY_DAYS (0: never) for a new one; called periodically."""
    if settings.AGENT_KEY_DAYS:
        young = AgentKey.objects.accepted().filter(
            agent=OuterRef("pk"), created_at__gt=Now() - timedelta(days=settings.AGENT_KEY_DAYS)
        )
        Agent.objects.enrolled().filter(~Exists(young), key_asked_at=None).update(key_asked_at=Now())


@transaction.atomic
def register(agent: Agent, request: NewKey) -> None:
    """Register an agent's next key. Both keys work until the new one is used. Raises Invalid."""
    try:
        key = import_key(request.public_key)
        unseal(request.proof, [key], purpose=Purpose.NEW_KEY, audience=CONTROL_PLANE, issuer=str(agent.pk))
    except SignatureRefused as problem:
        raise Invalid(str(problem), code="agent_key") from problem
    # A registered, unused key belongs to a program that was killed before it used the key.
    AgentKey.objects.accepted().filter(agent=agent, used_at=None).update(revoked_at=Now())
    store(agent, public_jwk(key))


def store(agent: Agent, public_key: dict[str, str]) -> None:
    """Store a live key of the agent. Raises Invalid when it is already live: keys tell agents apart."""
    if AgentKey.objects.accepted().exclude(agent=agent).filter(public_jwk__x=public_key["x"]).exists():
        raise Invalid(IN_USE, code="agent_key")
    try:
        with transaction.atomic():
            AgentKey.objects.create(agent=agent, public_jwk=public_key)
    except IntegrityError as problem:  # two at once
        raise Invalid(IN_USE, code="agent_key") from problem


@transaction.atomic
def take_into_use(key: AgentKey) -> None:
    """Note the first use of a key: the older keys end after OVERLAP."""
    if not AgentKey.objects.filter(pk=key.pk, used_at=None).update(used_at=Now()):
        return
    older = AgentKey.objects.filter(agent_id=key.agent_id, revoked_at=None).exclude(pk=key.pk)
    was_replaced = older.update(revoked_at=Now() + OVERLAP)
    was_asked = Agent.objects.filter(pk=key.agent_id, key_asked_at__lt=key.created_at).update(
        key_asked_at=None
    )
    if was_asked:
        key.agent.key_asked_at = None  # the answer to this request reads it
    if was_replaced or was_asked:
        liveness.record(key.agent, AgentEvent.Kind.KEY_CHANGED)


@transaction.atomic
def revoke(key: AgentKey, *, by: str) -> None:
    """Revoke a key at once. An agent without another key must be enrolled again."""
    if AgentKey.objects.accepted().filter(pk=key.pk).update(revoked_at=Now()):
        liveness.record(key.agent, AgentEvent.Kind.KEY_REVOKED, by=by)
