"""Operators' view of gateways."""

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.forms import ModelForm
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest

from core.admin import ReadOnlyAdmin
from core.problems import Invalid
from core.usage import uses_of
from gateways.models import Gateway, GatewayCluster, Listener
from gateways.services import refuse_taking_away


class ListenerInline(admin.TabularInline[Listener, Gateway]):
    model = Listener
    extra = 0


class PlaceFormSet(BaseInlineFormSet[GatewayCluster, Gateway, ModelForm[GatewayCluster]]):
    """The clusters where a gateway stands."""

    def clean(self) -> None:
        """A cluster with publishes of the gateway, deleted ones included, stays: the database refuses it too."""
        super().clean()
        staying = {form.cleaned_data["cluster"].pk for form in self.forms if form.cleaned_data.get("cluster") and not form.cleaned_data.get("DELETE")}
        try:
            refuse_taking_away(uses_of(self.instance), staying=frozenset(staying))
        except Invalid as problem:
            raise ValidationError([str(text) for texts in problem.fields.values() for text in texts]) from problem


class GatewayClusterInline(admin.TabularInline[GatewayCluster, Gateway]):
    model = GatewayCluster
    formset = PlaceFormSet
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
class GatewayClusterAdmin(ReadOnlyAdmin):
    """To look at; they are changed on the gateway's page."""

    list_display = ["gateway", "cluster"]
    list_select_related = ["gateway", "cluster"]
