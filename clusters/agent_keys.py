"""Agents' own keys: a new one is asked for, registered, comes into use, and ends the old one; an operator may end any at once."""

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
"""How long a replaced key is still believed: as long as a message of it may be on its way."""


def ask(agent: Agent, *, by: str) -> None:
    """Ask an agent for a new key, at its next heartbeat. It goes on working meanwhile."""
    Agent.objects.filter(pk=agent.pk).update(key_asked_at=Now())
    liveness.record(agent, AgentEvent.Kind.KEY_ASKED, by=by)


def ask_for_old_ones() -> None:
    """Ask the agents whose key is older than AGENT_KEY_DAYS; done once in a while. Zero days: never."""
    if settings.AGENT_KEY_DAYS:
        young = AgentKey.objects.live().filter(
            agent=OuterRef("pk"), created_at__gt=Now() - timedelta(days=settings.AGENT_KEY_DAYS)
        )
        Agent.objects.enrolled().filter(~Exists(young), key_asked_at=None).update(key_asked_at=Now())


@transaction.atomic
def register(agent: Agent, request: NewKey) -> None:
    """Take an agent's next key; it works at once, and so does the old one until the new one was used. Raises Invalid."""
    try:
        key = import_key(request.public_key)
        unseal(request.proof, [key], purpose=Purpose.NEW_KEY, audience=CONTROL_PLANE, issuer=str(agent.pk))
    except SignatureRefused as problem:
        raise Invalid(str(problem), code="agent_key") from problem
    # One that was registered and never used belongs to a program that was killed in between.
    AgentKey.objects.live().filter(agent=agent, used_at=None).update(revoked_at=Now())
    store(agent, public_jwk(key))


def store(agent: Agent, public_key: dict[str, str]) -> None:
    """A live key of the agent from now on. Raises Invalid when it is a live key already: nobody could tell two agents with one key apart."""
    if AgentKey.objects.live().exclude(agent=agent).filter(public_jwk__x=public_key["x"]).exists():
        raise Invalid(IN_USE, code="agent_key")
    try:
        with transaction.atomic():
            AgentKey.objects.create(agent=agent, public_jwk=public_key)
    except IntegrityError as problem:  # two at once
        raise Invalid(IN_USE, code="agent_key") from problem


@transaction.atomic
def come_into_use(key: AgentKey) -> None:
    """A key was used for the first time: the older ones end after a moment."""
    if not AgentKey.objects.filter(pk=key.pk, used_at=None).update(used_at=Now()):
        return
    older = AgentKey.objects.filter(agent_id=key.agent_id, revoked_at=None).exclude(pk=key.pk)
    was_replaced = older.update(revoked_at=Now() + OVERLAP)
    was_asked = Agent.objects.filter(pk=key.agent_id, key_asked_at__lt=key.created_at).update(
        key_asked_at=None
    )
    if was_asked:
        key.agent.key_asked_at = None  # this very request is answered from it
    if was_replaced or was_asked:
        liveness.record(key.agent, AgentEvent.Kind.KEY_CHANGED)


@transaction.atomic
def revoke(key: AgentKey, *, by: str) -> None:
    """End a key at once: the next request that it signs is refused. An agent without another one has to be enrolled anew."""
    if AgentKey.objects.live().filter(pk=key.pk).update(revoked_at=Now()):
        liveness.record(key.agent, AgentEvent.Kind.KEY_REVOKED, by=by)
