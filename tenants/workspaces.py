"""The workspace of a session: chosen when a person signs in, kept in the session, and changed by that person alone."""

from uuid import UUID

from django.db.models.query import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from core.problems import Forbidden, NotFound, Unauthenticated
from tenants.actors import Actor, Role, Workspace
from tenants.models import Membership

SESSION_TENANT = "tenant"


class NoWorkspace(Forbidden):
    """Signed in, and no member of the session's workspace. `elsewhere` are those that the person may choose instead."""

    title = _("No workspace yet")
    detail = _(
        "You belong to no workspace yet. Ask an owner or admin of a workspace to invite you by your user name."
    )
    elsewhere: tuple[Workspace, ...] = ()


class WorkspaceLost(NoWorkspace):
    """The membership has ended while the session was open. Nothing moves by itself into another workspace."""

    title = _("No longer a member")
    detail = _("You do not belong to this workspace any more. Choose another one to go on.")

    def __init__(self, elsewhere: tuple[Workspace, ...]) -> None:
        super().__init__()
        self.elsewhere = elsewhere


def actor_by_session(request: HttpRequest) -> Actor:
    """The signed-in person, acting for the session's workspace.

    Raises Unauthenticated when nobody is signed in, NoWorkspace when the person belongs to no tenant, WorkspaceLost when to others alone.
    """
    user = request.user
    if not user.is_authenticated:
        raise Unauthenticated
    memberships = list(_memberships_of(UUID(str(user.pk))))
    if not memberships:
        raise NoWorkspace
    chosen = request.session.get(SESSION_TENANT) or _bind(request, memberships[0])
    membership = next((row for row in memberships if str(row.tenant_id) == chosen), None)
    elsewhere = tuple(
        Workspace(id=row.tenant_id, name=row.tenant.name) for row in memberships if row is not membership
    )
    if membership is None:
        raise WorkspaceLost(elsewhere)
    return Actor(
        tenant_id=membership.tenant_id,
        role=Role(membership.role),
        label=user.get_username(),
        user_id=UUID(str(user.pk)),
        tenant_name=membership.tenant.name,
        elsewhere=elsewhere,
    )


def bind_session(request: HttpRequest, user_id: UUID) -> None:
    """Who signs in works in the first workspace by name, until they switch."""
    if first := _memberships_of(user_id).first():
        _bind(request, first)


def switch_tenant(request: HttpRequest, tenant_id: UUID) -> None:
    """From now on this session acts for another workspace of the person's. Raises NotFound."""
    user = request.user
    if (
        not user.is_authenticated
        or not Membership.objects.filter(user_id=user.pk, tenant_id=tenant_id).exists()
    ):
        raise NotFound
    request.session[SESSION_TENANT] = str(tenant_id)


def _memberships_of(user_id: UUID) -> QuerySet[Membership]:
    return Membership.objects.filter(user_id=user_id).select_related("tenant").order_by("tenant__name", "pk")


def _bind(request: HttpRequest, membership: Membership) -> str:
    request.session[SESSION_TENANT] = str(membership.tenant_id)
    return str(membership.tenant_id)
