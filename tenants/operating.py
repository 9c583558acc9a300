"""What operators change: accounts, groups of rights, workspaces, and who is let in again. Only the admin calls this."""

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
    """Staff reach for rights that they may not give."""

    detail = _("Only a superuser gives operators' rights, or changes an account that has them.")


class WorkspaceInUse(Conflict):
    """Something of it is kept."""

    code = "in_use"
    detail = _(
        "This workspace still has products, services, gateways or publishes, or their history. It cannot be deleted."
    )


class LastOwnersAccount(Conflict):
    """A workspace would have nobody who manages it."""

    code = "last_owner"
    detail = _(
        "This person is the only owner of %(tenants)s. Let another owner in first, or make the account inactive."
    )


@transaction.atomic
def save_account(
    account: User, *, groups: Iterable[Group] | None, permissions: Iterable[Permission] | None, by: User
) -> None:
    """Make an account, or keep its new values. Groups and permissions stay as they are when None is given.

    Raises SuperusersOnly when somebody else gives operators' rights, or changes an account that has them.
    """
    before = User.objects.select_for_update().filter(pk=account.pk).first()
    if not by.is_superuser and (
        groups or permissions or _is_operator(account) or (before and _is_operator(before))
    ):
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
    """Delete an account with its memberships and the tokens that it answers for. Raises LastOwnersAccount, SuperusersOnly."""
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
    """Keep a group with exactly these rights. Raises SuperusersOnly."""
    _require_superuser(by)
    group.save()
    group.permissions.set(permissions)
    log.info("group_saved", group=group.name, by=by.get_username())


def delete_group(group: Group, *, by: User) -> None:
    """Delete a group; whoever was in it loses its rights. Raises SuperusersOnly."""
    _require_superuser(by)
    log.info("group_deleted", group=group.name, by=by.get_username())
    group.delete()


def save_workspace(tenant: Tenant, *, by: User) -> None:
    """Make a workspace, or keep its new values."""
    log.info(
        "workspace_made" if tenant._state.adding else "workspace_changed",
        tenant=str(tenant.pk),
        slug=tenant.slug,
        by=by.get_username(),
    )
    tenant.save()


@transaction.atomic
def delete_workspace(tenant: Tenant, *, by: User) -> None:
    """Delete a workspace that has nothing and never published anything, with its memberships and tokens. Raises WorkspaceInUse."""
    log.info("workspace_deleted", tenant=str(tenant.pk), slug=tenant.slug, by=by.get_username())
    try:
        tenant.delete()
    except ProtectedError as problem:
        raise WorkspaceInUse from problem


def take_second_step_off(account: User, *, by: User) -> None:
    """Forget somebody's authenticator app and recovery codes: the password alone signs in, until a new app is set up."""
    Authenticator.objects.filter(user=account).delete()
    log.warning("second_step_taken_off", account=account.get_username(), by=by.get_username())


def sign_out_everywhere(account: User, *, by: User) -> None:
    """End all sessions of an account at once."""
    sessions.end_all_sessions(account)
    log.info("signed_out_everywhere", account=account.get_username(), by=by.get_username())


def let_in_again(attempt: AccessAttempt, *, by: User) -> None:
    """Forget the wrong passwords of a name at an address: the lock-out ends."""
    reset(username=attempt.username, ip=attempt.ip_address)
    log.info("lock_out_ended", account=attempt.username, by=by.get_username())


def _is_operator(account: User) -> bool:
    return account.is_staff or account.is_superuser


def _require_superuser(by: User) -> None:
    if not by.is_superuser:
        raise SuperusersOnly
