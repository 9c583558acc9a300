"""Adoption: an operator ends the freeze of a publish whose agents are ahead of a restored control plane. Called by the admin, and by the sweep when nobody is
ahead any more.
"""

from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.query import QuerySet
from django.utils.translation import gettext_lazy as _

from agent.protocol.bounds import GENERATION_MAX
from agent.protocol.spec import Spec, State
from publishes import alarms, errors, outbox, selectors, services, settlement, spec
from publishes.choices import Desired, EventKind, Kind, Status
from publishes.models import Alarm, Operation, ProductPublish, PublishEvent
from tenants.actors import Actor, Role

ADOPTABLE_MAX = GENERATION_MAX // 2
"""As many generations again are left for what is asked for later."""


@transaction.atomic
def adopt(publish_id: UUID, *, by: str, as_carried: bool) -> Operation:
    """Set the generation above the highest that any agent has, and bring all agents to one state.

    The state is what the control plane wanted, or with `as_carried` what the agent that is furthest ahead carries: a status that does not fit
    moves once the agents have proved it. Who is let in is what holds now. Raises WrongState when nothing is frozen, NoGenerationAbove, and what
    publishing raises.
    """
    publish = ProductPublish.objects.select_related("product", "cluster", "gateway").select_for_update(of=["self"], no_key=True).get(pk=publish_id)
    if publish.frozen_at is None:
        raise errors.WrongState(_("No agent is ahead of this publish, so there is nothing to adopt."))
    generation, carried = alarms.highest_of(publish)
    if generation > ADOPTABLE_MAX:
        raise errors.NoGenerationAbove(errors.NoGenerationAbove.detail % {"generation": generation})
    publish.generation = generation
    kind, wanted = _kept(publish, carried=State(carried)) if as_carried else _known(publish)
    operator = Actor(tenant_id=publish.tenant_id, role=Role.OWNER, label=by)
    alarms.close_ahead(publish, by=by)
    settlement.thaw(publish)
    evidence = {"generation": generation, "carried": carried, "as_carried": as_carried}
    PublishEvent.objects.create(publish=publish, kind=EventKind.ADOPTED, actor_label=by, evidence=evidence)
    operation = outbox.enqueue(publish, kind, wanted, actor=operator)
    settlement.settle(operation)
    return operation


@transaction.atomic
def adopt_forsaken(publish_id: UUID) -> None:
    """Bring all agents to what the control plane wanted, if still nobody is ahead."""
    ProductPublish.objects.select_for_update(of=["self"], no_key=True).get(pk=publish_id)
    if forsaken().filter(pk=publish_id).exists():
        adopt(publish_id, by="", as_carried=False)


def forsaken() -> QuerySet[ProductPublish, UUID]:
    """What is frozen without an alarm: the agents that were ahead have been removed, so nobody carries what there was to decide about."""
    ahead = Alarm.objects.filter(publish=OuterRef("pk"), closed_at=None)
    return ProductPublish.objects.filter(~Exists(ahead), frozen_at__isnull=False).values_list("pk", flat=True)


def _known(publish: ProductPublish) -> tuple[Kind, Spec]:
    """What the status says, unless somebody has asked for less since: that stays asked for."""
    if publish.status == Status.PUBLISHED and publish.desired_state == Desired.WITHDRAWN:
        return Kind.WITHDRAW, spec.withdrawn(publish)
    if publish.desired_state == Desired.ABSENT:
        return Kind.HEAL, spec.absent(publish)
    return Kind.HEAL, _standing(publish)


def _kept(publish: ProductPublish, *, carried: State) -> tuple[Kind, Spec]:
    """What an agent carries, and by which verb: a status that does not fit moves by the verb that people use for it."""
    if publish.deleted_at is None and carried is State.LIVE and publish.status != Status.PUBLISHED:
        services.claim_host(publish)
        return Kind.PUBLISH, spec.live(publish)
    if carried in (State.WITHDRAWN, State.ABSENT) and publish.status == Status.PUBLISHED:
        return Kind.WITHDRAW, spec.withdrawn(publish)
    return Kind.HEAL, _standing(publish)


def _standing(publish: ProductPublish) -> Spec:
    if publish.deleted_at is not None or publish.status == Status.DRAFT:
        return spec.absent(publish)
    if publish.status == Status.WITHDRAWN:
        return spec.withdrawn(publish)
    deployed = selectors.deployed_spec_of(publish)
    return spec.renewed(publish, deployed) if deployed else spec.live(publish)
