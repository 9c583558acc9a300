"""ProductPublish: one product on one gateway of one cluster in one environment."""

from typing import Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from clusters.models import Cluster
from core.records import Edited
from gateways.models import Gateway
from products.models import Product
from publishes.choices import AuthMode, Desired, Environment, Status, Visibility
from tenants.actors import Actor
from tenants.models import ScopedQuerySet, Tenant


class PublishQuerySet(ScopedQuerySet["ProductPublish"]):
    """Tombstones are visible to no actor, but by `tombstones_visible_to`."""

    def visible_to(self, actor: Actor) -> Self:
        return super().visible_to(actor).filter(deleted_at=None)

    def tombstones_visible_to(self, actor: Actor) -> Self:
        """The deleted publishes alone, to say that they are deleted."""
        return super().visible_to(actor).filter(deleted_at__isnull=False)


class ProductPublish(Edited):
    """One product on one gateway of one cluster in one environment. Deleted ones stay as tombstones."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="publishes", verbose_name=_("tenant")
    )
    product = models.ForeignKey(
        Product, on_delete=models.PROTECT, related_name="publishes", verbose_name=_("product")
    )
    cluster = models.ForeignKey(
        Cluster, on_delete=models.PROTECT, related_name="publishes", verbose_name=_("cluster")
    )
    gateway = models.ForeignKey(
        Gateway, on_delete=models.PROTECT, related_name="publishes", verbose_name=_("gateway")
    )
    environment = models.CharField(
        _("environment"), max_length=5, choices=Environment, default=Environment.DEV
    )
    auth_mode = models.CharField(_("auth mode"), max_length=7, choices=AuthMode, default=AuthMode.NONE)
    auth_config = models.JSONField(_("auth settings"), default=dict, blank=True)
    visibility = models.CharField(
        _("visibility"), max_length=7, choices=Visibility, default=Visibility.PUBLIC
    )
    approval_required = models.BooleanField(_("approval required"), default=True)
    hostname_base = models.CharField(_("hostname"), max_length=253)
    status = models.CharField(_("status"), max_length=9, choices=Status, default=Status.DRAFT)
    published_at = models.DateTimeField(_("published"), null=True, blank=True)
    published_by = models.CharField(_("published by"), max_length=150, blank=True)
    withdrawn_at = models.DateTimeField(_("withdrawn"), null=True, blank=True)
    withdrawn_by = models.CharField(_("withdrawn by"), max_length=150, blank=True)
    generation = models.PositiveBigIntegerField(_("generation"), default=0)
    desired_state = models.CharField(_("desired state"), max_length=9, choices=Desired, blank=True)
    desired_digest = models.CharField(_("desired digest"), max_length=64, blank=True)
    claimed_host = models.CharField(_("claimed host"), max_length=253, null=True, blank=True)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True)
    frozen_at = models.DateTimeField(_("frozen"), null=True, blank=True)
    run_key = models.UUIDField(null=True, blank=True, unique=True, editable=False)
    sync_wanted = models.BooleanField(
        default=False,
        editable=False,
        help_text=_("Callers' credentials changed, and that is still to go out."),
    )

    objects = PublishQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["cluster", "claimed_host"], name="publish_host_once"),
            models.CheckConstraint(condition=models.Q(status__in=Status.values), name="publish_status"),
            models.CheckConstraint(
                condition=models.Q(environment__in=Environment.values), name="publish_environment"
            ),
            models.CheckConstraint(
                condition=models.Q(auth_mode__in=AuthMode.values), name="publish_auth_mode"
            ),
            models.CheckConstraint(
                condition=models.Q(visibility__in=Visibility.values), name="publish_visibility"
            ),
            models.CheckConstraint(
                condition=~models.Q(status=Status.PUBLISHED)
                | models.Q(published_at__isnull=False, claimed_host__isnull=False, deleted_at=None),
                name="publish_published_is_whole",
            ),
            models.CheckConstraint(
                condition=models.Q(generation=0, desired_state="")
                | models.Q(generation__gt=0, desired_state__in=Desired.values),
                name="publish_desired_since_first",
            ),
        ]
        indexes = [
            models.Index(
                fields=["tenant", "-created_at"], condition=models.Q(deleted_at=None), name="publish_list"
            ),
            models.Index(
                fields=["cluster"],
                condition=models.Q(desired_state=Desired.ABSENT, claimed_host__isnull=False),
                name="publish_host_to_release",
            ),
            models.Index(fields=["id"], condition=models.Q(sync_wanted=True), name="publish_sync_wanted"),
        ]
        verbose_name = _("publish")
        verbose_name_plural = _("publishes")

    def __str__(self) -> str:
        return f"{self.hostname_base} · {self.status}"
