"""Operators' view of publishes: everything can be looked at, nothing changed; states are the engine's."""

from django.contrib import admin

from core.admin import ReadOnlyAdmin
from publishes.models import AgentLease, Delivery, Observation, Operation, ProductPublish, PublishEvent


@admin.register(ProductPublish)
class ProductPublishAdmin(ReadOnlyAdmin):
    list_display = ["product", "environment", "cluster", "gateway", "status", "generation", "hostname_base", "tenant", "deleted_at"]
    list_filter = ["status", "environment", "cluster"]
    list_select_related = ["product", "cluster", "gateway", "tenant"]
    search_fields = ["hostname_base", "product__name"]


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin):
    list_display = ["publish", "kind", "phase", "generation", "actor_label", "created_at", "took_ms", "error_code"]
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
