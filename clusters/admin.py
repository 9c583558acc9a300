"""The admin of clusters and agents. What agents report is read-only."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import FilteredSelectMultiple
from django.db.models.query import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

from clusters import agent_keys, keys, operators, services
from clusters.models import (
    Agent,
    AgentEvent,
    AgentKey,
    AgentLiveness,
    Cluster,
    ClusterTenant,
    EnrolmentCode,
    UsedRequest,
)
from core.admin import ReadOnlyAdmin, ReadOnlyInline, ServiceAdmin, asks_first
from tenants.models import Tenant


class AgentEventInline(ReadOnlyInline):
    model = AgentEvent
    fields = ["created_at", "kind", "message", "by"]


class AgentInline(ReadOnlyInline):
    model = Agent
    fields = ["name", "driver", "url", "blocked_at"]
    show_change_link = True


class ClusterForm(forms.ModelForm[Cluster]):
    """A cluster with the workspaces that may use it."""

    open_to = forms.ModelMultipleChoiceField(
        Tenant.objects.all(),
        required=False,
        label=_("Workspaces that may use it"),
        widget=FilteredSelectMultiple(_("workspaces"), is_stacked=False),
    )

    class Meta:
        model = Cluster
        fields = [
            "name",
            "description",
            "region",
            "maintenance",
            "host_suffixes",
            "upstream_networks",
            "open_to_all",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.initial.setdefault("open_to", self.instance.tenants.all())


@admin.register(Cluster)
class ClusterAdmin(ServiceAdmin[Cluster]):
    form = ClusterForm
    fields = [*ClusterForm.Meta.fields, "open_to"]
    list_display = ["name", "region", "status", "host_suffixes", "open_to_all"]
    list_filter = ["region", "maintenance", "open_to_all"]
    search_fields = ["name"]
    inlines = [AgentInline]

    def write(
        self,
        request: HttpRequest,
        record: Cluster,
        form: forms.ModelForm[Cluster],
        *,
        is_new: bool,
    ) -> None:
        operators.save_cluster(record, tenants=form.cleaned_data["open_to"], by=request.user.get_username())

    def remove(self, request: HttpRequest, record: Cluster) -> None:
        operators.delete_cluster(record, by=request.user.get_username())

    def get_queryset(self, request: HttpRequest) -> QuerySet[Cluster]:
        return super().get_queryset(request).with_status()  # type: ignore[attr-defined,no-any-return]

    @admin.display(description=_("status"))
    def status(self, cluster: Cluster) -> object:
        return Cluster.Status(getattr(cluster, "status")).label  # noqa: B009 - annotated


@admin.register(ClusterTenant)
class ClusterTenantAdmin(ReadOnlyAdmin):
    """Read-only: the cluster's page changes these rows."""

    list_display = ["cluster", "tenant", "created_at"]
    list_filter = ["cluster"]
    list_select_related = ["cluster", "tenant"]


@admin.register(Agent)
class AgentAdmin(ServiceAdmin[Agent]):
    """Agents are added and removed, never changed: what an agent serves cannot move to another cluster."""

    list_display = ["name", "cluster", "status", "driver", "url", "last_seen", "gateway"]
    list_select_related = ["cluster", "liveness"]
    list_filter = ["cluster", "driver"]
    search_fields = ["name"]
    actions = ["make_enrolment_code", "block", "unblock", "ask_for_key"]
    inlines = [AgentEventInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Agent]:
        return super().get_queryset(request).with_status()  # type: ignore[attr-defined,no-any-return]

    def get_fields(self, request: HttpRequest, obj: Agent | None = None) -> Any:
        return ["cluster", "name", "driver", "url", "blocked_at"] if obj else ["cluster", "name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Agent | None = None) -> Any:
        return self.get_fields(request, obj) if obj else []

    def has_change_permission(self, request: HttpRequest, obj: Agent | None = None) -> bool:
        return False

    def write(
        self,
        request: HttpRequest,
        record: Agent,
        form: forms.ModelForm[Agent],
        *,
        is_new: bool,
    ) -> None:
        operators.add_agent(record, by=request.user.get_username())

    def remove(self, request: HttpRequest, record: Agent) -> None:
        operators.remove_agent(record, by=request.user.get_username())

    @admin.action(permissions=["operate"], description=_("Create a one-time enrolment code"))
    def make_enrolment_code(self, request: HttpRequest, queryset: QuerySet[Agent]) -> HttpResponse:
        """Show the codes in this response only: a message would store them in a cookie."""
        by, codes = request.user.get_username(), []
        for agent in queryset.select_related("cluster"):
            code = services.create_enrolment_code(agent.cluster, agent_name=agent.name, by=by)
            codes.append((agent, code))
        context = {
            **self.admin_site.each_context(request),
            "title": _("One-time codes"),
            "opts": self.opts,
            "codes": codes,
        }
        return TemplateResponse(
            request, "clusters/enrolment_codes.html", context, headers={"Cache-Control": "no-store"}
        )

    @admin.action(permissions=["operate"], description=_("Block: refuse its requests and send nothing more"))
    @asks_first(
        _("Block these agents?"),
        warning=_(
            "Their requests are refused, and nothing more is sent to them. "
            "Their gateways keep serving, so their hostnames stay in use."
        ),
    )
    def block(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        for agent in queryset:
            services.block(agent, by=request.user.get_username())

    @admin.action(permissions=["operate"], description=_("Ask for a new key"))
    def ask_for_key(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        for agent in queryset:
            agent_keys.request_new(agent, by=request.user.get_username())

    @admin.action(permissions=["operate"], description=_("Unblock"))
    def unblock(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        for agent in queryset:
            services.unblock(agent, by=request.user.get_username())

    @admin.display(description=_("status"))
    def status(self, agent: Agent) -> object:
        return Agent.Status(getattr(agent, "status")).label  # noqa: B009 - annotated

    @admin.display(description=_("gateway"))
    def gateway(self, agent: Agent) -> object:
        if not hasattr(agent, "liveness"):
            return None
        return agent.liveness.gateway_error or agent.liveness.gateway_version

    @admin.display(description=_("last seen"))
    def last_seen(self, agent: Agent) -> object:
        return agent.liveness.last_seen_at if hasattr(agent, "liveness") else None


@admin.register(AgentLiveness)
class AgentLivenessAdmin(ReadOnlyAdmin):
    list_display = [
        "agent",
        "last_seen_at",
        "gateway_ok",
        "gateway_version",
        "proxy_url",
        "agent_version",
        "protocol",
        "knows_our_keys",
    ]
    list_select_related = ["agent"]

    @admin.display(description=_("knows our keys"), boolean=True)
    def knows_our_keys(self, row: AgentLiveness) -> bool:
        return row.pinned == keys.current_set()


@admin.register(AgentKey)
class AgentKeyAdmin(ReadOnlyAdmin):
    list_display = ["agent", "created_at", "used_at", "revoked_at"]
    list_select_related = ["agent"]
    actions = ["revoke"]

    @admin.action(permissions=["operate"], description=_("Revoke at once"))
    @asks_first(
        _("Revoke these keys?"),
        warning=_(
            "The next request with such a key is refused. "
            "An agent without another key must be enrolled again."
        ),
    )
    def revoke(self, request: HttpRequest, queryset: QuerySet[AgentKey]) -> None:
        for key in queryset.select_related("agent"):
            agent_keys.revoke(key, by=request.user.get_username())


@admin.register(EnrolmentCode)
class EnrolmentCodeAdmin(ReadOnlyAdmin):
    list_display = ["agent", "created_at", "expires_at", "consumed_at"]
    list_select_related = ["agent"]
    exclude = ["secret_hash"]


@admin.register(UsedRequest)
class UsedRequestAdmin(ReadOnlyAdmin):
    list_display = ["id", "expires_at"]


@admin.register(AgentEvent)
class AgentEventAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "cluster", "agent_name", "kind", "message", "by"]
    list_filter = ["kind", "cluster"]
    list_select_related = ["cluster"]
