"""The workspace of a session: chosen at sign-in, stored in the session, changed only by its person."""

from uuid import UUID

from django.db.models.query import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from core.problems import Forbidden, NotFound, Unauthenticated
from tenants.actors import Actor, Role, Workspace
from tenants.models import Membership

SESSION_TENANT = "tenant"


class NoWorkspace(Forbidden):
    """The person has no workspace. `elsewhere` are the workspaces to choose from."""

    title = _("No workspace yet")
    detail = _(
        "You have no workspace yet. Ask an owner or admin of a workspace to invite you by your user name."
    )
    elsewhere: tuple[Workspace, ...] = ()


class WorkspaceLost(NoWorkspace):
    """The membership ended while the session was open. The session never switches on its own."""

    title = _("No longer a member")
    detail = _("You are no longer a member of this workspace. Choose another workspace to go on.")

    def __init__(self, elsewhere: tuple[Workspace, ...]) -> None:
        super().__init__()
        self.elsewhere = elsewhere


def actor_by_session(request: HttpRequest) -> Actor:
    """The signed-in person, acting for the session's workspace.

    Raises Unauthenticated, NoWorkspace for a person without memberships, WorkspaceLost for an ended
    membership.
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
    """Bind a new session to the person's first workspace by name."""
    if first := _memberships_of(user_id).first():
        _bind(request, first)


def switch_tenant(request: HttpRequest, tenant_id: UUID) -> None:
    """Switch the session to another workspace of the person. Raises NotFound."""
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
