"""Services of operators: accounts, groups, workspaces, lock-outs. Only the admin calls them."""

from collections.abc import Iterable

import structlog
from allauth.mfa.models import Authenticator
from axes.models import AccessAttempt
from axes.utils import reset
from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import ProtectedError
from django.utils.translation import gettext_lazy as _

from core.problems import Conflict, Forbidden
from tenants.models import Membership, Tenant, User
from tenants.people import members, sessions

log = structlog.get_logger(__name__)


class SuperusersOnly(Forbidden):
    """Staff tried to give rights that only a superuser gives."""

    detail = _("Only a superuser gives operators' rights, or changes an account that has them.")


class WorkspaceInUse(Conflict):
    """The workspace still has records that are kept."""

    code = "in_use"
    detail = _(
        "This workspace still has products, services, gateways or publishes, or their history. "
        "It cannot be deleted."
    )


class LastOwnersAccount(Conflict):
    """A workspace would lose its only owner."""

    code = "last_owner"
    detail = _(
        "This person is the only owner of %(tenants)s. Add another owner first, or deactivate the account."
    )


@transaction.atomic
def save_account(
    account: User, *, groups: Iterable[Group] | None, permissions: Iterable[Permission] | None, by: User
) -> None:
    """Create or change an account. None leaves groups or permissions as they are.

    Raises SuperusersOnly when anybody else gives operators' rights, or changes an account that has them.
    """
    before = User.objects.select_for_update().filter(pk=account.pk).first()
    was_operator = before is not None and _is_operator(before)
    if not by.is_superuser and (groups or permissions or _is_operator(account) or was_operator):
        raise SuperusersOnly
    account.save()
    if groups is not None:
        account.groups.set(groups)
    if permissions is not None:
        account.user_permissions.set(permissions)
    log.info(
        "account_changed" if before else "account_made",
        account=account.get_username(),
        is_active=account.is_active,
        by=by.get_username(),
    )


@transaction.atomic
def delete_account(account: User, *, by: User) -> None:
    """Delete an account with its memberships and tokens. Raises LastOwnersAccount, SuperusersOnly."""
    if not by.is_superuser and _is_operator(account):
        raise SuperusersOnly
    ids = Membership.objects.filter(user=account).values_list("tenant_id", flat=True)
    tenants = list(Tenant.objects.select_for_update(no_key=True).filter(pk__in=list(ids)).order_by("pk"))
    if alone := [tenant.name for tenant in tenants if members.is_last_owner(account, tenant)]:
        raise LastOwnersAccount(LastOwnersAccount.detail % {"tenants": ", ".join(alone)})
    log.info("account_deleted", account=account.get_username(), by=by.get_username())
    account.delete()


@transaction.atomic
def save_group(group: Group, *, permissions: Iterable[Permission], by: User) -> None:
    """Save a group with exactly these rights. Raises SuperusersOnly."""
    _require_superuser(by)
    group.save()
    group.permissions.set(permissions)
    log.info("group_saved", group=group.name, by=by.get_username())


def delete_group(group: Group, *, by: User) -> None:
    """Delete a group; its members lose its rights. Raises SuperusersOnly."""
    _require_superuser(by)
    log.info("group_deleted", group=group.name, by=by.get_username())
    group.delete()


def save_workspace(tenant: Tenant, *, by: User) -> None:
    """Create or change a workspace."""
    log.info(
        "workspace_made" if tenant._state.adding else "workspace_changed",
        tenant=str(tenant.pk),
        slug=tenant.slug,
        by=by.get_username(),
    )
    tenant.save()


@transaction.atomic
def delete_workspace(tenant: Tenant, *, by: User) -> None:
    """Delete an empty workspace that never published, with memberships and tokens. Raises WorkspaceInUse."""
    log.info("workspace_deleted", tenant=str(tenant.pk), slug=tenant.slug, by=by.get_username())
    try:
        tenant.delete()
    except ProtectedError as problem:
        raise WorkspaceInUse from problem


def remove_second_step(account: User, *, by: User) -> None:
    """Delete a person's authenticator app and recovery codes: the password alone signs in."""
    Authenticator.objects.filter(user=account).delete()
    log.warning("second_step_taken_off", account=account.get_username(), by=by.get_username())


def sign_out_everywhere(account: User, *, by: User) -> None:
    """End all sessions of an account at once."""
    sessions.end_all_sessions(account)
    log.info("signed_out_everywhere", account=account.get_username(), by=by.get_username())


def end_lock_out(attempt: AccessAttempt, *, by: User) -> None:
    """Reset the failures of a name at an address: the lock-out ends."""
    reset(username=attempt.username, ip=attempt.ip_address)
    log.info("lock_out_ended", account=attempt.username, by=by.get_username())


def _is_operator(account: User) -> bool:
    return account.is_staff or account.is_superuser


def _require_superuser(by: User) -> None:
    if not by.is_superuser:
        raise SuperusersOnly
