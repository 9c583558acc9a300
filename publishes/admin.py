"""Operators' view of publishes: everything can be looked at, nothing changed; states are the engine's."""

from django.contrib import admin, messages
from django.db.models.query import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from core.admin import ReadOnlyAdmin, asks_first
from publishes.engine import adoption, alarms
from publishes.models import (
    AgentLease,
    Alarm,
    Credential,
    Delivery,
    Issuer,
    Observation,
    Operation,
    ProductPublish,
    PublishEvent,
)


@admin.register(ProductPublish)
class ProductPublishAdmin(ReadOnlyAdmin):
    list_display = [
        "product",
        "environment",
        "cluster",
        "gateway",
        "status",
        "generation",
        "hostname_base",
        "tenant",
        "frozen_at",
        "deleted_at",
    ]
    list_filter = ["status", "environment", "cluster"]
    list_select_related = ["product", "cluster", "gateway", "tenant"]
    search_fields = ["hostname_base", "product__name"]


@admin.register(Alarm)
class AlarmAdmin(ReadOnlyAdmin):
    """What agents carry and the control plane does not know of, as after a restored backup.

    docs/operations.md tells operators what to do.
    """

    list_display = [
        "created_at",
        "kind",
        "agent",
        "publish",
        "publish_ref",
        "more",
        "generation",
        "state",
        "take_off_at",
        "closed_at",
        "closed_by",
    ]
    list_filter = [("closed_at", admin.EmptyFieldListFilter), "kind"]
    list_select_related = ["agent", "publish"]
    actions = ["adopt_as_known", "adopt_as_carried", "take_off"]

    @admin.action(
        permissions=["operate"], description=_("Adopt: bring the agents to what the control plane knows")
    )
    @asks_first(
        _("Adopt what the control plane knows?"),
        warning=_(
            "The agents of these publishes go back to what stands here: "
            "whatever was changed after the backup is lost there."
        ),
    )
    def adopt_as_known(self, request: HttpRequest, queryset: QuerySet[Alarm]) -> None:
        self._adopt(request, queryset, as_carried=False)

    @admin.action(
        permissions=["operate"], description=_("Adopt: keep what the agent that is furthest ahead carries")
    )
    @asks_first(
        _("Adopt what the agents carry?"),
        warning=_(
            "What is live there is published with the product as it is here now, so look at that first. "
            "A status that does not fit follows the agents."
        ),
    )
    def adopt_as_carried(self, request: HttpRequest, queryset: QuerySet[Alarm]) -> None:
        self._adopt(request, queryset, as_carried=True)

    @admin.action(permissions=["operate"], description=_("Take unknown publishes off their agents"))
    @asks_first(
        _("Take these publishes off their agents?"),
        warning=_(
            "Callers meet nothing at their hostnames from then on, and they cannot be made again from here."
        ),
    )
    def take_off(self, request: HttpRequest, queryset: QuerySet[Alarm]) -> None:
        requested = sum(alarms.request_removal(alarm, by=request.user.get_username()) for alarm in queryset)
        self.message_user(
            request, _("%(n)d will be taken off at the next heartbeat of their agents.") % {"n": requested}
        )

    def _adopt(self, request: HttpRequest, queryset: QuerySet[Alarm], *, as_carried: bool) -> None:
        def adopt(publish: ProductPublish) -> None:
            operation = adoption.adopt(publish.pk, by=request.user.get_username(), as_carried=as_carried)
            self.message_user(
                request,
                _("Adopted %(publish)s as v%(generation)d.")
                % {"publish": publish.pk, "generation": operation.generation},
            )
            for sentence in adoption.key_warnings(operation):
                self.message_user(request, f"{publish.pk}: {sentence}", messages.WARNING)

        self.each(
            request,
            ProductPublish.objects.filter(pk__in=queryset.filter(closed_at=None).values("publish")),
            adopt,
        )


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin):
    list_display = [
        "publish",
        "kind",
        "phase",
        "generation",
        "actor_label",
        "created_at",
        "took_ms",
        "error_code",
    ]
    list_filter = ["kind", "phase"]
    list_select_related = ["publish"]


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ["operation", "agent", "phase", "attempt", "step", "code", "due_at"]
    list_filter = ["phase"]
    list_select_related = ["operation", "agent"]


@admin.register(Observation)
class ObservationAdmin(ReadOnlyAdmin):
    list_display = ["agent", "publish", "generation", "state", "verified", "observed_at"]
    list_select_related = ["agent", "publish"]


@admin.register(PublishEvent)
class PublishEventAdmin(ReadOnlyAdmin):
    list_display = ["publish", "kind", "from_status", "to_status", "actor_label", "created_at"]
    list_filter = ["kind"]
    list_select_related = ["publish"]


@admin.register(AgentLease)
class AgentLeaseAdmin(ReadOnlyAdmin):
    list_display = ["agent", "until"]
    list_select_related = ["agent"]


@admin.register(Credential)
class CredentialAdmin(ReadOnlyAdmin):
    list_display = ["publish", "consumer", "fingerprint", "state", "expires_at", "created_at"]
    list_filter = ["state"]
    list_select_related = ["publish"]
    exclude = ["secret"]


@admin.register(Issuer)
class IssuerAdmin(ReadOnlyAdmin):
    list_display = ["url", "fetched_at", "failing_since", "translated_reason"]

    @admin.display(description=_("reason"))
    def translated_reason(self, issuer: Issuer) -> str:
        """In the operator's language."""
        return issuer.reason_shown
