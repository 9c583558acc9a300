"""Invitations: owners, admins and operators create them; only the invited person accepts or declines."""

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
"""The most open invitations of one workspace."""


def invitations_into(actor: Actor) -> QuerySet[Invitation]:
    """The workspace's open invitations by name. Raises Forbidden for everybody but owners and admins."""
    actor.require_manage()
    return _open().filter(tenant_id=actor.tenant_id).select_related("user").order_by("user__username")


def invitations_of(user: User) -> QuerySet[Invitation]:
    """The open invitations of a person."""
    return _open().filter(user=user).select_related("tenant").order_by("tenant__name", "pk")


@transaction.atomic
def invite(actor: Actor, *, username: str, role: Role) -> Invitation:
    """Invite a person with an account. Raises Invalid for an unknown name, a member, or an invited person."""
    members.lock(actor)
    members.require_owner_for(actor, role)
    user = User.objects.filter(username=username.strip(), is_active=True).first()
    if user is None:
        raise Invalid(fields={"username": [_("No account has this name. Ask an operator to create one.")]})
    invitation = Invitation(tenant_id=actor.tenant_id, user=user, role=role)
    offer(invitation, by=actor.label)
    return invitation


@transaction.atomic
def offer(invitation: Invitation, *, by: str) -> None:
    """Store an invitation for seven days; an operator's goes into any workspace.

    Raises Invalid for a member or an invited person, and for a workspace with 100 open invitations.
    """
    if Membership.objects.filter(user=invitation.user, tenant_id=invitation.tenant_id).exists():
        raise Invalid(fields={"username": [_("This person is already a member.")]})
    forget_expired()
    if _open().filter(tenant_id=invitation.tenant_id).count() >= MOST:
        raise Invalid(fields={"username": [_("Too many open invitations. Take one back first.")]})
    invitation.by, invitation.expires_at = by, timezone.now() + LIFETIME
    try:
        with transaction.atomic():
            invitation.save(force_insert=True)
    except IntegrityError as problem:
        raise Invalid(fields={"username": [_("This person is already invited.")]}) from problem
    _log("member_invited", invitation, by=by)


@transaction.atomic
def take_back(actor: Actor, invitation_id: UUID) -> None:
    """Take back an invitation of the workspace. Raises NotFound, Forbidden, OwnersOnly."""
    invitation = _locked(Invitation.objects.filter(tenant_id=actor.tenant_id), invitation_id)
    actor.require_manage()
    members.require_owner_for(actor, Role(invitation.role))
    withdraw(invitation, by=actor.label)


def withdraw(invitation: Invitation, *, by: str) -> None:
    """Take back an invitation of any workspace, for operators."""
    _log("invitation_taken_back", invitation, by=by)
    invitation.delete()


@transaction.atomic
def accept(user: User, invitation_id: UUID) -> Membership:
    """Accept: become a member in the invitation's role.

    Raises NotFound unless it is this person's and open.
    """
    invitation = _locked(invitations_of(user), invitation_id)
    membership, _is_new = Membership.objects.get_or_create(
        user=user, tenant=invitation.tenant, defaults={"role": invitation.role}
    )
    invitation.delete()
    _log("member_joined", invitation, by=user.get_username())
    return membership


@transaction.atomic
def decline(user: User, invitation_id: UUID) -> None:
    """Decline an invitation. Raises NotFound unless it is this person's and open."""
    invitation = _locked(invitations_of(user), invitation_id)
    invitation.delete()
    _log("invitation_declined", invitation, by=user.get_username())


def forget_expired() -> None:
    """Delete expired invitations; the sweep calls this."""
    Invitation.objects.filter(expires_at__lte=Now()).delete()


def _open() -> QuerySet[Invitation]:
    return Invitation.objects.filter(expires_at__gt=Now())


def _locked(rows: QuerySet[Invitation], invitation_id: UUID) -> Invitation:
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
