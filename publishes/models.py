"""ProductPublish and what happens to it: Operation, Delivery, Observation, PublishEvent; and the lease on an agent."""

from typing import Self

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from clusters.models import Agent, Cluster
from core.records import Record
from core.secrets import CiphertextField
from gateways.models import Gateway
from products.models import Product
from publishes.choices import OPEN_PHASES, PEOPLES_KINDS, AlarmKind, AuthMode, Desired, Environment, EventKind, KeyState, Kind, Phase, Status, Visibility
from publishes.issuer_models import Issuer as Issuer
from tenants.actors import Actor
from tenants.models import ScopedQuerySet, Tenant, User


class PublishQuerySet(ScopedQuerySet["ProductPublish"]):
    """Tombstones are not there for anybody."""

    def visible_to(self, actor: Actor) -> Self:
        return super().visible_to(actor).filter(deleted_at=None)

    def tombstones_visible_to(self, actor: Actor) -> Self:
        """The deleted ones alone, for whoever wants to say that they are gone."""
        return super().visible_to(actor).filter(deleted_at__isnull=False)


class ProductPublish(Record):
    """One product on one gateway of one cluster in one environment. Deleted ones stay as tombstones."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="publishes", verbose_name=_("tenant"))
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="publishes", verbose_name=_("product"))
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="publishes", verbose_name=_("cluster"))
    gateway = models.ForeignKey(Gateway, on_delete=models.PROTECT, related_name="publishes", verbose_name=_("gateway"))
    environment = models.CharField(_("environment"), max_length=5, choices=Environment, default=Environment.DEV)
    auth_mode = models.CharField(_("auth mode"), max_length=7, choices=AuthMode, default=AuthMode.NONE)
    auth_config = models.JSONField(_("auth settings"), default=dict, blank=True)
    visibility = models.CharField(_("visibility"), max_length=7, choices=Visibility, default=Visibility.PUBLIC)
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
    sync_wanted = models.BooleanField(default=False, editable=False, help_text=_("Callers' credentials changed, and that is still to go out."))

    objects = PublishQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["cluster", "claimed_host"], name="publish_host_once"),
            models.CheckConstraint(condition=models.Q(status__in=Status.values), name="publish_status"),
            models.CheckConstraint(condition=models.Q(environment__in=Environment.values), name="publish_environment"),
            models.CheckConstraint(condition=models.Q(auth_mode__in=AuthMode.values), name="publish_auth_mode"),
            models.CheckConstraint(condition=models.Q(visibility__in=Visibility.values), name="publish_visibility"),
            models.CheckConstraint(
                condition=~models.Q(status=Status.PUBLISHED) | models.Q(published_at__isnull=False, claimed_host__isnull=False, deleted_at=None),
                name="publish_published_is_whole",
            ),
            models.CheckConstraint(
                condition=models.Q(generation=0, desired_state="") | models.Q(generation__gt=0, desired_state__in=Desired.values),
                name="publish_desired_since_first",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "-created_at"], condition=models.Q(deleted_at=None), name="publish_list"),
            models.Index(fields=["cluster"], condition=models.Q(desired_state=Desired.ABSENT, claimed_host__isnull=False), name="publish_host_to_release"),
            models.Index(fields=["id"], condition=models.Q(sync_wanted=True), name="publish_sync_wanted"),
        ]
        verbose_name = _("publish")
        verbose_name_plural = _("publishes")

    def __str__(self) -> str:
        return f"{self.hostname_base} · {self.status}"


class OperationQuerySet(models.QuerySet["Operation"]):
    """Operations are seen by whoever sees their publish, deleted or not."""

    def visible_to(self, actor: Actor) -> Self:
        """Only those of the actor's tenant. Raises Forbidden for a role that sees nothing here."""
        actor.require_read()
        return self.filter(publish__tenant_id=actor.tenant_id)


class Operation(Record):
    """One run of a verb on one publish. It owns one generation, whose spec is kept (ids and fingerprints of secrets only)."""

    publish = models.ForeignKey(ProductPublish, on_delete=models.CASCADE, related_name="operations", verbose_name=_("publish"))
    kind = models.CharField(_("kind"), max_length=8, choices=Kind)
    phase = models.CharField(_("phase"), max_length=10, choices=Phase, default=Phase.QUEUED)
    generation = models.PositiveBigIntegerField(_("generation"))
    spec = models.JSONField(_("spec"), encoder=DjangoJSONEncoder)
    digest = models.CharField(_("digest"), max_length=64)
    actor_label = models.CharField(_("by"), max_length=150, blank=True)
    actor_user = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("user"))
    note = models.CharField(_("note"), max_length=500, blank=True)
    error_code = models.CharField(_("error code"), max_length=50, blank=True)
    error = models.TextField(_("error"), blank=True)
    deadline_at = models.DateTimeField(_("deadline"))
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    took_ms = models.PositiveIntegerField(_("took (ms)"), null=True, blank=True)

    objects = OperationQuerySet.as_manager()

    class Meta:
        ordering = ["-generation"]
        constraints = [
            models.UniqueConstraint(fields=["publish", "generation"], name="operation_generation_once"),
            models.UniqueConstraint(fields=["publish"], condition=models.Q(kind__in=PEOPLES_KINDS, phase__in=OPEN_PHASES), name="operation_one_of_people_open"),
            models.CheckConstraint(condition=models.Q(phase__in=OPEN_PHASES) | models.Q(finished_at__isnull=False), name="operation_closed_has_end"),
        ]
        indexes = [
            models.Index(fields=["deadline_at"], condition=models.Q(phase__in=OPEN_PHASES), name="operation_open"),
            models.Index(fields=["publish"], condition=models.Q(phase=Phase.FAILED, kind__in=PEOPLES_KINDS), name="operation_failed"),
        ]
        verbose_name = _("operation")
        verbose_name_plural = _("operations")

    def __str__(self) -> str:
        return f"{self.kind} {self.generation} · {self.phase}"

    @property
    def is_open(self) -> bool:
        """Whether it is still going on."""
        return self.phase in OPEN_PHASES


class Delivery(Record):
    """An operation for one agent. It stays open after its operation closed, until the agent confirmed or something newer came."""

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="deliveries", verbose_name=_("operation"))
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="deliveries", verbose_name=_("agent"))
    phase = models.CharField(_("phase"), max_length=10, choices=Phase, default=Phase.QUEUED)
    attempt = models.PositiveIntegerField(_("attempt"), default=0)
    token = models.UUIDField(_("attempt's token"), null=True, blank=True, editable=False)
    due_at = models.DateTimeField(_("due"), db_default=Now())
    step = models.CharField(_("step"), max_length=50, blank=True)
    code = models.CharField(_("code"), max_length=50, blank=True)
    message = models.TextField(_("the agent's words"), blank=True)
    entity = models.CharField(_("entity"), max_length=200, blank=True)
    field = models.CharField(_("field"), max_length=200, blank=True)
    evidence = models.JSONField(_("evidence"), default=dict, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        ordering = ["agent__name"]
        constraints = [models.UniqueConstraint(fields=["operation", "agent"], name="delivery_once")]
        indexes = [
            models.Index(fields=["agent", "due_at"], condition=models.Q(phase__in=OPEN_PHASES), name="delivery_due"),
            models.Index(fields=["agent"], condition=models.Q(phase__in=OPEN_PHASES) & ~models.Q(code="agent_gone"), name="delivery_unexplained"),
        ]
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")

    def __str__(self) -> str:
        return f"{self.operation_id} · {self.agent_id} · {self.phase}"

    @property
    def is_open(self) -> bool:
        """Whether the agent's word is still awaited."""
        return self.phase in OPEN_PHASES


class AgentLease(models.Model):
    """The right to push to one agent, until a time by the database's clock: one frozen agent occupies one worker thread at most."""

    agent = models.OneToOneField(Agent, on_delete=models.CASCADE, primary_key=True, related_name="lease", verbose_name=_("agent"))
    token = models.UUIDField(_("holder's token"), null=True)
    until = models.DateTimeField(_("until"), db_default=Now())

    class Meta:
        verbose_name = _("lease")
        verbose_name_plural = _("leases")

    def __str__(self) -> str:
        return f"{self.agent_id} {self.until}"


class Observation(models.Model):
    """What one agent last said it carries of one publish."""

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="observations", verbose_name=_("agent"))
    publish = models.ForeignKey(ProductPublish, on_delete=models.CASCADE, related_name="observations", verbose_name=_("publish"))
    generation = models.PositiveBigIntegerField(_("generation"))
    digest = models.CharField(_("digest"), max_length=64)
    state = models.CharField(_("state"), max_length=9, choices=Desired)
    verified = models.BooleanField(_("verified"))
    observed_at = models.DateTimeField(_("observed"))

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "publish"], name="observation_once")]
        indexes = [models.Index(fields=["agent", "publish"], condition=~models.Q(state=Desired.ABSENT), name="observation_present")]
        verbose_name = _("observation")
        verbose_name_plural = _("observations")

    def __str__(self) -> str:
        return f"{self.agent_id} · {self.publish_id} · {self.generation}"


class Alarm(Record):
    """An agent carries something that this control plane does not know of. `publish_ref` is the id that the agent names.

    `let_in`: the ids of the keys that it lets in, at the generation `let_in_at`, which is null until it has named them.
    """

    kind = models.CharField(_("kind"), max_length=20, choices=AlarmKind)
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="alarms", verbose_name=_("agent"))
    publish = models.ForeignKey(ProductPublish, on_delete=models.CASCADE, null=True, blank=True, related_name="alarms", verbose_name=_("publish"))
    publish_ref = models.UUIDField(_("publish's id"))
    generation = models.PositiveBigIntegerField(_("generation"))
    state = models.CharField(_("state"), max_length=9, choices=Desired)
    let_in = models.JSONField(default=list, blank=True, editable=False)
    let_in_at = models.PositiveBigIntegerField(null=True, blank=True, editable=False)
    take_off_at = models.DateTimeField(_("to be taken off since"), null=True, blank=True)
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)
    closed_by = models.CharField(_("closed by"), max_length=150, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["agent", "publish_ref"], condition=models.Q(closed_at=None), name="alarm_open_once")]
        verbose_name = _("alarm")
        verbose_name_plural = _("alarms")

    def __str__(self) -> str:
        return f"{self.kind} {self.publish_ref}"


class PublishEvent(models.Model):
    """One line of a publish's history; never changed."""

    publish = models.ForeignKey(ProductPublish, on_delete=models.CASCADE, related_name="events", verbose_name=_("publish"))
    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, null=True, blank=True, related_name="events", verbose_name=_("operation"))
    kind = models.CharField(_("kind"), max_length=20, choices=EventKind)
    from_status = models.CharField(_("from"), max_length=9, choices=Status, blank=True)
    to_status = models.CharField(_("to"), max_length=9, choices=Status, blank=True)
    actor_label = models.CharField(_("by"), max_length=150, blank=True)
    actor_user = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("user"))
    note = models.TextField(_("note"), blank=True)
    evidence = models.JSONField(_("evidence"), default=dict, blank=True, encoder=DjangoJSONEncoder)
    created_at = models.DateTimeField(_("time"), auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["publish", "-created_at"], name="event_history")]
        verbose_name = _("event")
        verbose_name_plural = _("events")

    def __str__(self) -> str:
        return f"{self.kind} {self.created_at}"


class Credential(Record):
    """A key that a publish in api-key mode lets in, and the consumer whom its upstreams are told of. The key itself is encrypted for this row."""

    publish = models.ForeignKey(ProductPublish, on_delete=models.CASCADE, related_name="credentials", verbose_name=_("publish"))
    consumer = models.CharField(_("consumer"), max_length=100)
    is_test = models.BooleanField(_("test key"), default=False)
    secret = CiphertextField(editable=False)
    fingerprint = models.CharField(_("fingerprint"), max_length=32)
    state = models.CharField(_("state"), max_length=7, choices=KeyState, default=KeyState.ACTIVE)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)

    class Meta:
        ordering = ["created_at"]
        constraints = [models.UniqueConstraint(fields=["publish", "fingerprint"], name="credential_once")]
        indexes = [models.Index(fields=["expires_at"], condition=models.Q(state=KeyState.ACTIVE, expires_at__isnull=False), name="credential_ending")]
        verbose_name = _("key")
        verbose_name_plural = _("keys")

    def __str__(self) -> str:
        return f"{self.consumer} · {self.fingerprint[:8]}"
