"""Who belongs to a workspace in which role. Owners and admins decide; nobody about themselves, admins not about owners."""

from uuid import UUID

import structlog
from django.db import transaction
from django.db.models.query import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.problems import Conflict, Forbidden, Invalid, NotFound
from tenants.actors import Actor, Role
from tenants.models import Membership, Tenant, User
from tenants.services import api_tokens_made_by

log = structlog.get_logger(__name__)


class NotOneself(Conflict):
    """Nobody may lock themselves out by a click."""

    code = "not_oneself"
    detail = _("You cannot change or remove yourself. Ask another owner or admin.")


class LastOwner(Conflict):
    """A workspace without an owner could not be managed any more."""

    code = "last_owner"
    detail = _("This is the only owner. Make somebody else an owner first.")


class OwnersOnly(Forbidden):
    """An admin reaches for an owner's rights."""

    detail = _("Only an owner can make, change or remove owners. Ask one.")


def members_of(actor: Actor) -> QuerySet[Membership]:
    """Everybody in the workspace, by name. Raises Forbidden for everybody but owners and admins."""
    actor.require_manage()
    return Membership.objects.filter(tenant_id=actor.tenant_id).select_related("user").order_by("user__username")


@transaction.atomic
def add_member(actor: Actor, *, username: str, role: Role) -> Membership:
    """Let somebody who has an account in. Raises Invalid when there is no such account, or it is in already."""
    _lock(actor)
    _require_owner_for(actor, role)
    user = User.objects.filter(username=username.strip(), is_active=True).first()
    if user is None:
        raise Invalid(fields={"username": [_("Nobody has this name. Operators make accounts; ask one.")]})
    membership, is_new = Membership.objects.get_or_create(user=user, tenant_id=actor.tenant_id, defaults={"role": role})
    if not is_new:
        raise Invalid(fields={"username": [_("This person is a member already.")]})
    _log("member_added", actor, membership)
    return membership


@transaction.atomic
def change_role(actor: Actor, membership_id: UUID, *, role: Role) -> Membership:
    """Give a member another role. Raises NotOneself, OwnersOnly, LastOwner."""
    membership = _changeable(actor, membership_id)
    _require_owner_for(actor, role)
    if membership.role == Role.OWNER and role != Role.OWNER:
        _require_another_owner(membership)
    membership.role = role
    membership.save(update_fields=["role", "updated_at"])
    _log("member_role_changed", actor, membership)
    return membership


@transaction.atomic
def remove_member(actor: Actor, membership_id: UUID) -> Membership:
    """Take somebody out of the workspace and revoke the tokens that they made; the account stays. Raises NotOneself, OwnersOnly, LastOwner."""
    membership = _changeable(actor, membership_id)
    if membership.role == Role.OWNER:
        _require_another_owner(membership)
    membership.delete()
    now = timezone.now()
    _log("member_removed", actor, membership, tokens_revoked=api_tokens_made_by(actor, membership.user_id).update(revoked_at=now, updated_at=now))
    return membership


def member_of(actor: Actor, membership_id: UUID) -> Membership:
    """A member of the workspace, for those who manage it. Raises NotFound, then Forbidden."""
    found = Membership.objects.filter(tenant_id=actor.tenant_id, pk=membership_id).select_related("user", "tenant").first()
    if found is None:
        raise NotFound
    actor.require_manage()
    return found


def _log(event: str, actor: Actor, membership: Membership, **more: int) -> None:
    told = {"tenant": str(actor.tenant_id), "member": membership.user.get_username(), "role": str(membership.role), "by": actor.label}
    log.info(event, **told, **more)


def _lock(actor: Actor) -> None:
    """One change of members at a time, or two owners could remove each other at once. What was read of the actor may be old by then."""
    actor.require_manage()
    Tenant.objects.select_for_update(no_key=True).get(pk=actor.tenant_id)
    if actor.user_id is None:
        return
    now = Membership.objects.filter(tenant_id=actor.tenant_id, user_id=actor.user_id).values_list("role", flat=True).first()
    if now != actor.role:
        raise Forbidden


def _changeable(actor: Actor, membership_id: UUID) -> Membership:
    member_of(actor, membership_id)
    _lock(actor)
    found = member_of(actor, membership_id)
    if found.user_id == actor.user_id:
        raise NotOneself
    _require_owner_for(actor, Role(found.role))
    return found


def _require_owner_for(actor: Actor, role: Role) -> None:
    if role == Role.OWNER != actor.role:
        raise OwnersOnly


def _require_another_owner(membership: Membership) -> None:
    if not Membership.objects.filter(tenant_id=membership.tenant_id, role=Role.OWNER).exclude(pk=membership.pk).exists():
        raise LastOwner
