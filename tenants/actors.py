"""The actor: a person or program acting for one tenant in one role.

Every selector and service takes it first.
"""

from dataclasses import dataclass
from uuid import UUID

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.problems import Forbidden


class Role(models.TextChoices):
    """The roles of a tenant, the strongest first: three write, a viewer reads, billing sees no products."""

    OWNER = "owner", _("Owner")
    ADMIN = "admin", _("Admin")
    DEVELOPER = "developer", _("Developer")
    VIEWER = "viewer", _("Viewer")
    BILLING = "billing", _("Billing")


WRITERS = frozenset({Role.OWNER, Role.ADMIN, Role.DEVELOPER})
READERS = WRITERS | {Role.VIEWER}
MANAGERS = frozenset({Role.OWNER, Role.ADMIN})


def lesser(first: Role, second: Role) -> Role:
    """The weaker of two roles."""
    return max(first, second, key=list(Role).index)


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """A tenant, as its members see it."""

    id: UUID
    name: str


@dataclass(frozen=True, kw_only=True)
class Actor:
    """A person or API token that acts for a tenant. `label` is shown in the history.

    `user_id`: the person; None for a token. `maker_id`: the person responsible for a token, if known.
    `tenant_name`, and `elsewhere` (the other workspaces of the person), are for pages.
    """

    tenant_id: UUID
    role: Role
    label: str
    user_id: UUID | None = None
    maker_id: UUID | None = None
    tenant_name: str = ""
    elsewhere: tuple[Workspace, ...] = ()

    @property
    def writes(self) -> bool:
        """Whether this role may change things."""
        return self.role in WRITERS

    @property
    def manages(self) -> bool:
        """Whether this role decides who may do what in the workspace."""
        return self.role in MANAGERS

    def require_manage(self) -> None:
        """Raises Forbidden for everybody but owners and admins."""
        if not self.manages:
            raise Forbidden

    def require_read(self) -> None:
        """Raises Forbidden for a role that sees no products and publishes."""
        if self.role not in READERS:
            raise Forbidden

    def require_write(self) -> None:
        """Raises Forbidden for a role that may only read."""
        if not self.writes:
            raise Forbidden
