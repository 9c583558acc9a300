"""Invitations into a workspace: made and taken back by owners and admins, or operators; accepted or declined by the invited person alone."""

from datetime import timedelta
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.db.models.query import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.problems import Invalid, NotFound
from tenants.actors import Actor, Role
from tenants.models import Invitation, Membership, User
from tenants.people import members

log = structlog.get_logger(__name__)
LIFETIME = timedelta(days=7)
MOST = 100
"""How many may wait in one workspace."""


def invitations_into(actor: Actor) -> QuerySet[Invitation]:
    """Those that wait in the workspace, by name. Raises Forbidden for everybody but owners and admins."""
    actor.require_manage()
    return _waiting().filter(tenant_id=actor.tenant_id).select_related("user").order_by("user__username")


def invitations_of(user: User) -> QuerySet[Invitation]:
    """Those that wait for a person's answer."""
    return _waiting().filter(user=user).select_related("tenant").order_by("tenant__name", "pk")


@transaction.atomic
def invite(actor: Actor, *, username: str, role: Role) -> Invitation:
    """Ask somebody who has an account to become a member. Raises Invalid when nobody has the name, or is a member or invited already."""
    members.lock(actor)
    members.require_owner_for(actor, role)
    user = User.objects.filter(username=username.strip(), is_active=True).first()
    if user is None:
        raise Invalid(fields={"username": [_("Nobody has this name. Operators make accounts; ask one.")]})
    invitation = Invitation(tenant_id=actor.tenant_id, user=user, role=role)
    offer(invitation, by=actor.label)
    return invitation


@transaction.atomic
def offer(invitation: Invitation, *, by: str) -> None:
    """Store a new invitation for seven days; an operator's into any workspace. Raises Invalid as above, or when a hundred wait there."""
    if Membership.objects.filter(user=invitation.user, tenant_id=invitation.tenant_id).exists():
        raise Invalid(fields={"username": [_("This person is a member already.")]})
    forget_expired()
    if _waiting().filter(tenant_id=invitation.tenant_id).count() >= MOST:
        raise Invalid(
            fields={"username": [_("Too many invitations wait for an answer. Take one back first.")]}
        )
    invitation.by, invitation.expires_at = by, timezone.now() + LIFETIME
    try:
        with transaction.atomic():
            invitation.save(force_insert=True)
    except IntegrityError as problem:
        raise Invalid(fields={"username": [_("This person was invited already.")]}) from problem
    _log("member_invited", invitation, by=by)


@transaction.atomic
def take_back(actor: Actor, invitation_id: UUID) -> None:
    """End an invitation of the workspace. Raises NotFound, Forbidden, OwnersOnly."""
    invitation = _one(Invitation.objects.filter(tenant_id=actor.tenant_id), invitation_id)
    actor.require_manage()
    members.require_owner_for(actor, Role(invitation.role))
    withdraw(invitation, by=actor.label)


def withdraw(invitation: Invitation, *, by: str) -> None:
    """The same by an operator, for any workspace."""
    _log("invitation_taken_back", invitation, by=by)
    invitation.delete()


@transaction.atomic
def accept(user: User, invitation_id: UUID) -> Membership:
    """Become a member in the role of the invitation. Raises NotFound when it is not this person's, or does not wait any more."""
    invitation = _one(invitations_of(user), invitation_id)
    membership, _is_new = Membership.objects.get_or_create(
        user=user, tenant=invitation.tenant, defaults={"role": invitation.role}
    )
    invitation.delete()
    _log("member_joined", invitation, by=user.get_username())
    return membership


@transaction.atomic
def decline(user: User, invitation_id: UUID) -> None:
    """End an invitation by saying no. Raises NotFound as above."""
    invitation = _one(invitations_of(user), invitation_id)
    invitation.delete()
    _log("invitation_declined", invitation, by=user.get_username())


def forget_expired() -> None:
    """Drop invitations that nobody has answered in time; the sweep calls this."""
    Invitation.objects.filter(expires_at__lte=Now()).delete()


def _waiting() -> QuerySet[Invitation]:
    return Invitation.objects.filter(expires_at__gt=Now())


def _one(rows: QuerySet[Invitation], invitation_id: UUID) -> Invitation:
    invitation = (
        rows.filter(pk=invitation_id).select_for_update(of=["self"]).select_related("user", "tenant").first()
    )
    if invitation is None:
        raise NotFound
    return invitation


def _log(event: str, invitation: Invitation, *, by: str) -> None:
    values = {
        "tenant": str(invitation.tenant_id),
        "member": invitation.user.get_username(),
        "role": str(invitation.role),
        "by": by,
    }
    log.info(event, **values)
