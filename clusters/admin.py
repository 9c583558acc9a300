"""Operators' view of clusters and agents. What agents say about themselves is read-only."""

from typing import Any

from django.contrib import admin
from django.db.models.query import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

from clusters import agent_keys, keys, services
from clusters.models import Agent, AgentEvent, AgentKey, AgentLiveness, Cluster, EnrolmentCode, UsedRequest
from core.admin import OperatedAdmin, ReadOnlyAdmin


class AgentEventInline(admin.TabularInline[AgentEvent, Agent]):
    """What happened to an agent; written by the system."""

    model = AgentEvent
    extra = 0
    fields = ["created_at", "kind", "message", "by"]
    readonly_fields = ["created_at", "kind", "message", "by"]
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Agent | None = None) -> bool:  # noqa: ARG002 - Django's signature
        return False


class AgentInline(admin.TabularInline[Agent, Cluster]):
    model = Agent
    extra = 0
    fields = ["name", "driver", "url", "blocked_at"]
    readonly_fields = ["name", "driver", "url", "blocked_at"]
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Cluster | None = None) -> bool:  # noqa: ARG002 - Django's signature
        """Agents are made where they get their code."""
        return False


@admin.register(Cluster)
class ClusterAdmin(admin.ModelAdmin[Cluster]):
    list_display = ["name", "region", "status", "host_suffixes"]
    list_filter = ["region", "maintenance"]
    search_fields = ["name"]
    inlines = [AgentInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Cluster]:
        return super().get_queryset(request).with_status()  # type: ignore[attr-defined,no-any-return]

    @admin.display(description=_("status"))
    def status(self, cluster: Cluster) -> object:
        return Cluster.Status(getattr(cluster, "status")).label  # noqa: B009 - annotated


@admin.register(Agent)
class AgentAdmin(OperatedAdmin[Agent]):
    list_display = ["name", "cluster", "status", "driver", "url", "last_seen", "gateway"]
    list_select_related = ["cluster", "liveness"]
    list_filter = ["cluster", "driver"]
    search_fields = ["name"]
    readonly_fields = ["driver", "url", "blocked_at"]
    actions = ["make_enrolment_code", "block", "unblock", "ask_for_key"]
    inlines = [AgentEventInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Agent]:
        return super().get_queryset(request).with_status()  # type: ignore[attr-defined,no-any-return]

    def get_readonly_fields(self, request: HttpRequest, obj: Agent | None = None) -> list[str]:  # noqa: ARG002 - Django's signature
        """An agent stays in its cluster: what it serves cannot move."""
        return [*self.readonly_fields, *(["cluster", "name"] if obj else [])]

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What goes with an agent (keys, deliveries, its word) is written by the system and goes without asking for more rights."""
        deleted, counts, _more_rights, protected = super().get_deleted_objects(objs, request)
        return deleted, counts, set(), protected

    @admin.action(permissions=["operate"], description=_("Make a one-time enrolment code"))
    def make_enrolment_code(self, request: HttpRequest, queryset: QuerySet[Agent]) -> HttpResponse:
        """The codes stand in this answer alone: a message would carry them in a cookie."""
        codes = [
            (agent, services.create_enrolment_code(agent.cluster, agent_name=agent.name, by=request.user.get_username()))
            for agent in queryset.select_related("cluster")
        ]
        context = {**self.admin_site.each_context(request), "title": _("One-time codes"), "opts": self.opts, "codes": codes}
        return TemplateResponse(request, "admin/enrolment_codes.html", context, headers={"Cache-Control": "no-store"})

    @admin.action(permissions=["operate"], description=_("Block: refuse its requests and send it nothing more"))
    def block(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        for agent in queryset:
            services.block(agent, by=request.user.get_username())

    @admin.action(permissions=["operate"], description=_("Ask for a new key"))
    def ask_for_key(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        for agent in queryset:
            agent_keys.ask(agent, by=request.user.get_username())

    @admin.action(permissions=["operate"], description=_("Unblock"))
    def unblock(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        for agent in queryset:
            services.unblock(agent, by=request.user.get_username())

    @admin.display(description=_("status"))
    def status(self, agent: Agent) -> object:
        return Agent.Status(getattr(agent, "status")).label  # noqa: B009 - annotated

    @admin.display(description=_("gateway"))
    def gateway(self, agent: Agent) -> object:
        return (agent.liveness.gateway_error or agent.liveness.gateway_version) if hasattr(agent, "liveness") else None

    @admin.display(description=_("last seen"))
    def last_seen(self, agent: Agent) -> object:
        return agent.liveness.last_seen_at if hasattr(agent, "liveness") else None


@admin.register(AgentLiveness)
class AgentLivenessAdmin(ReadOnlyAdmin):
    list_display = ["agent", "last_seen_at", "gateway_ok", "gateway_version", "proxy_url", "agent_version", "protocol", "knows_our_keys"]
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
