"""Adoption: an operator ends the freeze of a publish whose agents are ahead of a restored control plane. Only the admin and commands call it."""

from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from agent.protocol.spec import Spec, State
from publishes import alarms, errors, outbox, selectors, services, settlement, spec
from publishes.choices import EventKind, Kind, Status
from publishes.models import Operation, ProductPublish, PublishEvent
from tenants.actors import Actor, Role


@transaction.atomic
def adopt(publish_id: UUID, *, by: str, as_carried: bool) -> Operation:
    """Set the generation above the highest that any agent has, and bring all agents to one state.

    The state is what the control plane's own status says, or with `as_carried` what the agent that is furthest ahead carries: then a status
    that does not fit moves once the agents have proved it. Raises WrongState when nothing is frozen, and what publishing raises.
    """
    publish = ProductPublish.objects.select_related("product", "cluster", "gateway").select_for_update(of=["self"], no_key=True).get(pk=publish_id)
    if publish.frozen_at is None:
        raise errors.WrongState(_("No agent is ahead of this publish, so there is nothing to adopt."))
    generation, carried = alarms.highest_of(publish)
    publish.generation = generation
    kind, wanted = _wanted(publish, carried=State(carried) if as_carried else None)
    operator = Actor(tenant_id=publish.tenant_id, role=Role.OWNER, label=by)
    alarms.close_ahead(publish, by=by)
    settlement.thaw(publish)
    evidence = {"generation": generation, "carried": carried, "as_carried": as_carried}
    PublishEvent.objects.create(publish=publish, kind=EventKind.ADOPTED, actor_label=by, evidence=evidence)
    operation = outbox.enqueue(publish, kind, wanted, actor=operator)
    settlement.settle(operation)
    return operation


def _wanted(publish: ProductPublish, *, carried: State | None) -> tuple[Kind, Spec]:
    """What to bring to the agents, and by which verb: a status that does not fit moves by the verb that people use for it."""
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
    return deployed.model_copy(update={"generation": publish.generation + 1}) if deployed else spec.live(publish)
