"""Tenants, users, memberships and API tokens."""

import uuid
from typing import Self, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.problems import NotFound
from core.records import Record
from tenants.actors import Actor, Role

DEFAULT_ZONE = "Asia/Seoul"
M = TypeVar("M", bound=models.Model)


class ScopedQuerySet(models.QuerySet[M]):
    """Base of every query of a tenant's model: `visible_to` first limits the rows to the actor's tenant."""

    def visible_to(self, actor: Actor) -> Self:
        """Only rows of the actor's tenant. Raises Forbidden for a role that may not read."""
        actor.require_read()
        return self.filter(tenant_id=actor.tenant_id)

    def get_for(self, actor: Actor, pk: UUID) -> M:
        """The visible record of this id. Raises NotFound."""
        record = self.visible_to(actor).filter(pk=pk).first()
        if record is None:
            raise NotFound
        return record

    def lock_for(self, actor: Actor, pk: UUID) -> M:
        """The visible record, locked until the transaction ends, for a writer.

        Raises NotFound, then Forbidden.
        """
        record = self.select_for_update(of=["self"], no_key=True).get_for(actor, pk)
        actor.require_write()
        return record


class User(AbstractUser):
    """A person. Operators are staff; providers are members of a tenant."""

    class Theme(models.TextChoices):
        SYSTEM = "", _("As the system has it")
        LIGHT = "light", _("Light")
        DARK = "dark", _("Dark")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    language = models.CharField(
        _("language"), max_length=5, blank=True, choices=[("ko", "한국어"), ("en", "English")]
    )
    theme = models.CharField(_("theme"), max_length=5, blank=True, choices=Theme)
    time_zone = models.CharField(_("time zone"), max_length=64, default=DEFAULT_ZONE)

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which this person reads times."""
        try:
            return ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            return ZoneInfo(DEFAULT_ZONE)


class Tenant(Record):
    """The unit of isolation; people call it their workspace."""

    class Type(models.TextChoices):
        PROVIDER = "provider", _("Provider")
        CUSTOMER = "customer", _("Customer")

    name = models.CharField(_("name"), max_length=100)
    slug = models.SlugField(_("slug"), unique=True)
    type = models.CharField(_("type"), max_length=10, choices=Type, default=Type.PROVIDER)

    class Meta:
        ordering = ["name"]
        verbose_name = _("tenant")
        verbose_name_plural = _("tenants")

    def __str__(self) -> str:
        return self.name


class Membership(Record):
    """One person in one tenant, in one role."""

    user = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("user")
    )
    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("tenant")
    )
    role = models.CharField(_("role"), max_length=10, choices=Role)

    class Meta:
        ordering = ["tenant__name"]
        constraints = [models.UniqueConstraint(fields=["user", "tenant"], name="membership_once")]
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")

    def __str__(self) -> str:
        return f"{self.user} · {self.tenant} · {self.role}"


class Invitation(Record):
    """An open invitation of a person into a tenant."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="invitations", verbose_name=_("tenant")
    )
    user = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="invitations", verbose_name=_("user")
    )
    role = models.CharField(_("role"), max_length=10, choices=Role)
    by = models.CharField(_("invited by"), max_length=150, editable=False)
    expires_at = models.DateTimeField(_("expires"), editable=False, db_index=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["user", "tenant"], name="invitation_once")]
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")

    def __str__(self) -> str:
        return f"{self.user} · {self.tenant} · {self.role}"


def _maker() -> models.QuerySet[Membership]:
    """The membership of a token's maker, while the maker belongs to the workspace."""
    return Membership.objects.filter(
        user=models.OuterRef("created_by"), tenant=models.OuterRef("tenant"), user__is_active=True
    )


def _maker_is_in() -> models.Q:
    return models.Q(created_by=None) | models.Q(models.Exists(_maker()))


class ApiTokenQuerySet(ScopedQuerySet["ApiToken"]):
    """Reads of tokens."""

    def unended(self) -> Self:
        """Neither revoked nor expired."""
        return self.filter(
            models.Q(revoked_at=None) & (models.Q(expires_at=None) | models.Q(expires_at__gt=timezone.now()))
        )

    def working(self) -> Self:
        """Accepted tokens: not ended, and their maker is still a member; adds the maker's `maker_role`."""
        return (
            self.unended()
            .filter(_maker_is_in())
            .annotate(maker_role=models.Subquery(_maker().values("role")[:1]))
        )

    def with_maker(self) -> Self:
        """Tokens with their maker, and with `maker_is_in`: whether the maker is still a member."""
        return self.select_related("created_by").annotate(maker_is_in=_maker_is_in())


class ApiToken(Record):
    """A program's key to the JSON API. Only its hash is stored; the prefix tells tokens apart.

    `created_by` is responsible for the token (None: a command created it). The token works only while its
    maker is a member of the workspace, and never with a stronger role than the maker's.
    """

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="api_tokens", verbose_name=_("tenant")
    )
    created_by = models.ForeignKey(
        User,
        on_delete=models.CASCADE,
        null=True,
        editable=False,
        related_name="api_tokens",
        verbose_name=_("made by"),
    )
    name = models.CharField(_("name"), max_length=100)
    role = models.CharField(_("role"), max_length=10, choices=Role)
    prefix = models.CharField(_("prefix"), max_length=12)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
