"""Adoption: an operator ends the freeze of a publish whose agents are ahead of a restored control plane.

Called by the admin, and by the sweep when no agent is ahead any more.
"""

from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now
from django.db.models.query import QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from agent.protocol.bounds import GENERATION_MAX
from agent.protocol.messages import LET_IN_AT_ONCE, KeysLetIn
from agent.protocol.spec import Spec, State
from clusters.models import Agent
from publishes import errors, spec
from publishes.choices import AlarmKind, AuthMode, Desired, EventKind, KeyState, Kind, Status
from publishes.engine import alarms, hosts, outbox, settlement
from publishes.models import Alarm, Operation, ProductPublish, PublishEvent
from publishes.reading.facts import selectors
from tenants.actors import Actor, Role

ADOPTABLE_MAX = GENERATION_MAX // 2
"""The highest generation that can be adopted: as many again are left for later operations."""


@transaction.atomic
def adopt(publish_id: UUID, *, by: str, as_carried: bool) -> Operation:
    """Set the generation above the highest that any agent has, and bring all agents to one state.

    The state is what the control plane wanted, or with `as_carried` what the agent furthest ahead carries:
    a status that does not fit moves once the agents have proved that state. A key stays active when the
    agent furthest ahead lets it in too. Every other key is switched off: it may have been, after the
    backup. Raises WrongState when nothing is frozen, NoGenerationAbove, and what publishing raises.
    """
    publish = (
        ProductPublish.objects.select_related("product", "cluster", "gateway")
        .select_for_update(of=["self"], no_key=True)
        .get(pk=publish_id)
    )
    if publish.frozen_at is None:
        raise errors.WrongState(_("No agent is ahead of this publish, so there is nothing to adopt."))
    generation, carried = alarms.highest_generation_of(publish)
    if generation > ADOPTABLE_MAX:
        raise errors.NoGenerationAbove(errors.NoGenerationAbove.detail % {"generation": generation})
    keys_off, keys_lost = _switch_off_unproved_keys(publish, generation=generation, by=by)
    publish.generation = generation
    if as_carried:
        kind, desired = _target_from_agent(publish, carried=State(carried))
    else:
        kind, desired = _target_from_status(publish)
    operator = Actor(tenant_id=publish.tenant_id, role=Role.OWNER, label=by)
    alarms.close_ahead(publish, by=by)
    settlement.thaw(publish)
    operation = outbox.enqueue(publish, kind, desired, actor=operator)
    evidence = {
        "generation": generation,
        "carried": carried,
        "as_carried": as_carried,
        "keys_off": keys_off,
        "keys_lost": keys_lost,
    }
    PublishEvent.objects.create(
        publish=publish, operation=operation, kind=EventKind.ADOPTED, actor_label=by, evidence=evidence
    )
    settlement.settle(operation)
    return operation


@transaction.atomic
def adopt_without_alarm(publish_id: UUID) -> None:
    """Bring all agents to what the control plane wanted, if still no agent is ahead.

    Does nothing while another transaction has the publish locked.
    """
    free = ProductPublish.objects.select_for_update(of=["self"], no_key=True, skip_locked=True).filter(
        pk=publish_id
    )
    if free.first() and frozen_without_alarm().filter(pk=publish_id).exists():
        adopt(publish_id, by="", as_carried=False)


def frozen_without_alarm() -> QuerySet[ProductPublish, UUID]:
    """Ids of the frozen publishes without an open alarm: the agents that were ahead have been removed,
    so an operator has nothing to decide.
    """
    ahead = Alarm.objects.filter(publish=OuterRef("pk"), closed_at=None)
    return (
        ProductPublish.objects.filter(~Exists(ahead), frozen_at__isnull=False)
        .order_by("pk")
        .values_list("pk", flat=True)
    )


def publishes_with_unnamed_keys(agent: Agent) -> list[UUID]:
    """Ids of the publishes of which an agent is ahead of us and has not named the keys yet. One query."""
    rows = Alarm.objects.filter(
        agent=agent, kind=AlarmKind.GENERATION_AHEAD, closed_at=None, publish__auth_mode=AuthMode.API_KEY
    )
    unnamed = Q(let_in_at=None) | ~Q(let_in_at=F("generation"))
    publish_ids = rows.filter(unnamed).order_by("created_at").values_list("publish_ref", flat=True)
    return [publish_id for publish_id in publish_ids[:LET_IN_AT_ONCE] if publish_id]


def note_keys(agent: Agent, message: KeysLetIn) -> None:
    """Keep what an agent says of its keys, where it is ahead of us with exactly that generation."""
    rows = Alarm.objects.filter(agent=agent, kind=AlarmKind.GENERATION_AHEAD, closed_at=None)
    for line in message.publishes:
        let_in = [str(key) for key in line.keys]
        rows.filter(publish_ref=line.publish_id, generation=line.generation).update(
            let_in=let_in, let_in_at=line.generation
        )


def key_warnings(operation: Operation) -> list[str]:
    """Warnings for the operator about the keys that an adoption switched off or cannot bring back.

    Empty when there are none. One query.
    """
    evidence = operation.events.values_list("evidence", flat=True).get(kind=EventKind.ADOPTED)
    off, lost = evidence["keys_off"], evidence["keys_lost"]
    off_text = ngettext(
        "Switched off, because no agent says that it lets it in: %(n)d key.",
        "Switched off, because no agent says that it lets them in: %(n)d keys.",
        off,
    )
    lost_text = ngettext(
        "Made after the dump and lost, its callers get 401 until they have a new one: %(n)d key.",
        "Made after the dump and lost, their callers get 401 until they have new ones: %(n)d keys.",
        lost,
    )
    return [text % {"n": number} for text, number in ((off_text, off), (lost_text, lost)) if number]


def _switch_off_unproved_keys(publish: ProductPublish, *, generation: int, by: str) -> tuple[int, int]:
    """Switch off the keys that no agent proves to let in.

    Returns how many were switched off, and how many keys the agents let in that have no row here.
    """
    alarms_ahead = Alarm.objects.filter(
        publish=publish, kind=AlarmKind.GENERATION_AHEAD, closed_at=None, let_in_at=generation
    )
    let_in_by_agent = [set(map(UUID, keys)) for keys in alarms_ahead.values_list("let_in", flat=True)]
    let_in = set.intersection(*let_in_by_agent) if let_in_by_agent else set()
    uncertain = publish.credentials.filter(state=KeyState.ACTIVE).exclude(pk__in=let_in)
    stored_ids = set(publish.credentials.values_list("pk", flat=True))
    evidence = [
        {"key": fingerprint[:8], "because": "adopted"}
        for fingerprint in uncertain.values_list("fingerprint", flat=True)
    ]
    uncertain.update(state=KeyState.OFF, updated_at=Now())
    PublishEvent.objects.bulk_create(
        PublishEvent(publish=publish, kind=EventKind.KEY_OFF, actor_label=by, evidence=line)
        for line in evidence
    )
    return len(evidence), len(let_in - stored_ids)


def _target_from_status(publish: ProductPublish) -> tuple[Kind, Spec]:
    """What the status says; a withdrawal or deletion that was requested since stays requested."""
    if publish.status == Status.PUBLISHED and publish.desired_state == Desired.WITHDRAWN:
        return Kind.WITHDRAW, spec.withdrawn(publish)
    if publish.desired_state == Desired.ABSENT:
        return Kind.HEAL, spec.absent(publish)
    return Kind.HEAL, _spec_of_status(publish)


def _target_from_agent(publish: ProductPublish, *, carried: State) -> tuple[Kind, Spec]:
    """What an agent carries; a status that does not fit moves by the verb that people use for it."""
    if publish.deleted_at is None and carried is State.LIVE and publish.status != Status.PUBLISHED:
        hosts.claim_host(publish)
        return Kind.PUBLISH, spec.live(publish)
    if carried in (State.WITHDRAWN, State.ABSENT) and publish.status == Status.PUBLISHED:
        return Kind.WITHDRAW, spec.withdrawn(publish)
    return Kind.HEAL, _spec_of_status(publish)


def _spec_of_status(publish: ProductPublish) -> Spec:
    if publish.deleted_at is not None or publish.status == Status.DRAFT:
        return spec.absent(publish)
    if publish.status == Status.WITHDRAWN:
        return spec.withdrawn(publish)
    deployed = selectors.deployed_spec_of(publish)
    return spec.renewed(publish, deployed) if deployed else spec.live(publish)
