"""Members of a workspace. Owners and admins manage them, but admins no owners, and nobody themselves."""

from uuid import UUID

import structlog
from django.db import transaction
from django.db.models.query import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.problems import Conflict, Forbidden, NotFound
from tenants.actors import Actor, Role
from tenants.models import ApiToken, Membership, Tenant, User

log = structlog.get_logger(__name__)


class NotOneself(Conflict):
    """Nobody may lock themselves out."""

    code = "not_oneself"
    detail = _("You cannot change or remove yourself. Ask another owner or admin, or leave under My account.")


class LastOwner(Conflict):
    """A workspace must keep an owner."""

    code = "last_owner"
    detail = _("This is the only owner. Make somebody else an owner first.")


class OwnersOnly(Forbidden):
    """An admin tried to change an owner."""

    detail = _("Only an owner can add, change or remove owners. Ask an owner.")


def members_of(actor: Actor) -> QuerySet[Membership]:
    """The members of the workspace by name. Raises Forbidden for everybody but owners and admins."""
    actor.require_manage()
    return (
        Membership.objects.filter(tenant_id=actor.tenant_id).select_related("user").order_by("user__username")
    )


@transaction.atomic
def change_role(actor: Actor, membership_id: UUID, *, role: Role) -> Membership:
    """Change a member's role. Raises NotOneself, OwnersOnly, LastOwner."""
    membership = _changeable(actor, membership_id)
    require_owner_for(actor, role)
    if membership.role == Role.OWNER and role != Role.OWNER:
        _require_another_owner(membership)
    membership.role = role
    membership.save(update_fields=["role", "updated_at"])
    _log("member_role_changed", membership, by=actor.label)
    return membership


@transaction.atomic
def remove_member(actor: Actor, membership_id: UUID) -> Membership:
    """Remove a member and revoke their tokens; the account stays.

    Raises NotOneself, OwnersOnly, LastOwner.
    """
    membership = _changeable(actor, membership_id)
    _take_out(membership, by=actor.label)
    return membership


@transaction.atomic
def leave(actor: Actor) -> None:
    """Leave the workspace and revoke one's tokens.

    Raises NotFound for an actor that is not a member, LastOwner.
    """
    if actor.user_id is None:
        raise NotFound
    _lock_tenant(actor.tenant_id)
    membership = (
        Membership.objects.filter(tenant_id=actor.tenant_id, user_id=actor.user_id)
        .select_related("user")
        .first()
    )
    if membership is None:
        raise NotFound
    _take_out(membership, by=actor.label)


def member_of(actor: Actor, membership_id: UUID) -> Membership:
    """A member, for owners and admins. Raises NotFound, then Forbidden."""
    membership = (
        Membership.objects.filter(tenant_id=actor.tenant_id, pk=membership_id)
        .select_related("user", "tenant")
        .first()
    )
    if membership is None:
        raise NotFound
    actor.require_manage()
    return membership


@transaction.atomic
def expel(membership_id: UUID, *, by: str) -> None:
    """Remove a member and revoke their tokens, for operators. Raises NotFound, LastOwner."""
    membership = Membership.objects.filter(pk=membership_id).select_related("user", "tenant").first()
    if membership is None:
        raise NotFound
    _lock_tenant(membership.tenant_id)
    _take_out(membership, by=by)


def is_last_owner(user: User, tenant: Tenant) -> bool:
    """Whether the user is the only active owner of the workspace."""
    owners = Membership.objects.filter(tenant=tenant, role=Role.OWNER)
    return owners.filter(user=user).exists() and not _active_others(owners, user.pk).exists()


def _take_out(membership: Membership, *, by: str) -> None:
    if membership.role == Role.OWNER:
        _require_another_owner(membership)
    membership.delete()
    now = timezone.now()
    tokens = ApiToken.objects.unended().filter(
        tenant_id=membership.tenant_id, created_by_id=membership.user_id
    )
    _log("member_removed", membership, by=by, tokens_revoked=tokens.update(revoked_at=now, updated_at=now))


def _log(event: str, membership: Membership, *, by: str, **more: int) -> None:
    values = {
        "tenant": str(membership.tenant_id),
        "member": membership.user.get_username(),
        "role": str(membership.role),
        "by": by,
    }
    log.info(event, **values, **more)


def lock(actor: Actor) -> None:
    """Serialise changes of members: two owners must not remove each other.

    Raises Forbidden for a changed role.
    """
    actor.require_manage()
    _lock_tenant(actor.tenant_id)
    if actor.user_id is None:
        return
    membership = Membership.objects.filter(tenant_id=actor.tenant_id, user_id=actor.user_id)
    if membership.values_list("role", flat=True).first() != actor.role:
        raise Forbidden


def _lock_tenant(tenant_id: UUID) -> None:
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)


def _changeable(actor: Actor, membership_id: UUID) -> Membership:
    member_of(actor, membership_id)
    lock(actor)
    membership = member_of(actor, membership_id)
    if membership.user_id == actor.user_id:
        raise NotOneself
    require_owner_for(actor, Role(membership.role))
    return membership


def require_owner_for(actor: Actor, role: Role) -> None:
    """Raises OwnersOnly when anybody but an owner handles an owner's role."""
    if role == Role.OWNER != actor.role:
        raise OwnersOnly


def _require_another_owner(membership: Membership) -> None:
    owners = Membership.objects.filter(tenant_id=membership.tenant_id, role=Role.OWNER)
    if not _active_others(owners, membership.user_id).exists():
        raise LastOwner


def _active_others(owners: QuerySet[Membership], user_id: UUID) -> QuerySet[Membership]:
    """The other owners with an active account."""
    return owners.filter(user__is_active=True).exclude(user_id=user_id)
