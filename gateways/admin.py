"""Operators' view of gateways."""

from django.contrib import admin
from django.http import HttpRequest

from gateways.models import Gateway, GatewayCluster, Listener


class ListenerInline(admin.TabularInline[Listener, Gateway]):
    model = Listener
    extra = 0


class GatewayClusterInline(admin.TabularInline[GatewayCluster, Gateway]):
    model = GatewayCluster
    extra = 0
    autocomplete_fields = ["cluster"]


@admin.register(Gateway)
class GatewayAdmin(admin.ModelAdmin[Gateway]):
    list_display = ["name", "tenant", "gateway_class", "status"]
    list_select_related = ["tenant"]
    list_filter = ["gateway_class", "status"]
    search_fields = ["name"]
    inlines = [ListenerInline, GatewayClusterInline]

    def get_readonly_fields(self, request: HttpRequest, obj: Gateway | None = None) -> list[str]:  # noqa: ARG002 - Django's signature
        """The class says which agents serve it, so it cannot change under what is live; make another gateway."""
        return ["gateway_class", "tenant"] if obj else []


@admin.register(Listener)
class ListenerAdmin(admin.ModelAdmin[Listener]):
    list_display = ["name", "port", "protocol", "gateway"]
    list_select_related = ["gateway"]


@admin.register(GatewayCluster)
class GatewayClusterAdmin(admin.ModelAdmin[GatewayCluster]):
    list_display = ["gateway", "cluster"]
    list_select_related = ["gateway", "cluster"]
