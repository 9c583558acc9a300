"""The admin of gateways, read-only: they belong to the providers."""

from django.contrib import admin

from core.admin import ReadOnlyAdmin, ReadOnlyInline
from gateways.models import Gateway, GatewayCluster, Listener


class ListenerInline(ReadOnlyInline):
    model = Listener


class GatewayClusterInline(ReadOnlyInline):
    model = GatewayCluster


@admin.register(Gateway)
class GatewayAdmin(ReadOnlyAdmin):
    list_display = ["name", "tenant", "gateway_class", "status"]
    list_select_related = ["tenant"]
    list_filter = ["gateway_class", "status"]
    search_fields = ["name"]
    inlines = [ListenerInline, GatewayClusterInline]


@admin.register(Listener)
class ListenerAdmin(ReadOnlyAdmin):
    list_display = ["name", "port", "protocol", "gateway"]
    list_select_related = ["gateway"]


@admin.register(GatewayCluster)
class GatewayClusterAdmin(ReadOnlyAdmin):
    list_display = ["gateway", "cluster"]
    list_select_related = ["gateway", "cluster"]
