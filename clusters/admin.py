"""Operators' view of clusters and agents. What agents say about themselves is read-only."""

from typing import Any

from django.contrib import admin
from django.db.models.query import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from clusters.models import Agent, AgentKey, AgentLiveness, Cluster, EnrolmentCode, UsedRequest
from clusters.services import create_enrolment_code
from core.admin import ReadOnlyAdmin


class AgentInline(admin.TabularInline[Agent, Cluster]):
    model = Agent
    extra = 0
    fields = ["name", "driver", "url", "blocked_at"]
    readonly_fields = ["name", "driver", "url"]
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Cluster | None = None) -> bool:  # noqa: ARG002 - Django's signature
        """Agents are made where they get their code."""
        return False


@admin.register(Cluster)
class ClusterAdmin(admin.ModelAdmin[Cluster]):
    list_display = ["name", "region", "maintenance", "host_suffixes"]
    list_filter = ["region", "maintenance"]
    search_fields = ["name"]
    inlines = [AgentInline]


@admin.register(Agent)
class AgentAdmin(admin.ModelAdmin[Agent]):
    list_display = ["name", "cluster", "driver", "url", "blocked_at", "last_seen"]
    list_select_related = ["cluster", "liveness"]
    list_filter = ["cluster", "driver"]
    search_fields = ["name"]
    readonly_fields = ["driver", "url"]
    actions = ["make_enrolment_code"]

    def get_readonly_fields(self, request: HttpRequest, obj: Agent | None = None) -> list[str]:  # noqa: ARG002 - Django's signature
        """An agent stays in its cluster: what it serves cannot move."""
        return [*self.readonly_fields, *(["cluster", "name"] if obj else [])]

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What goes with an agent (keys, deliveries, its word) is written by the system and goes without asking for more rights."""
        deleted, counts, _more_rights, protected = super().get_deleted_objects(objs, request)
        return deleted, counts, set(), protected

    @admin.action(description=_("Make a one-time enrolment code"))
    def make_enrolment_code(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        for agent in queryset.select_related("cluster"):
            code = create_enrolment_code(agent.cluster, agent_name=agent.name)
            self.message_user(request, _("One-time code for %(agent)s: %(code)s") % {"agent": agent.name, "code": code})

    @admin.display(description=_("last seen"))
    def last_seen(self, agent: Agent) -> object:
        return agent.liveness.last_seen_at if hasattr(agent, "liveness") else None


@admin.register(AgentLiveness)
class AgentLivenessAdmin(ReadOnlyAdmin):
    list_display = ["agent", "last_seen_at", "gateway_ok", "gateway_version", "proxy_url"]
    list_select_related = ["agent"]


@admin.register(AgentKey)
class AgentKeyAdmin(ReadOnlyAdmin):
    list_display = ["agent", "created_at", "revoked_at"]
    list_select_related = ["agent"]


@admin.register(EnrolmentCode)
class EnrolmentCodeAdmin(ReadOnlyAdmin):
    list_display = ["agent", "created_at", "expires_at", "consumed_at"]
    list_select_related = ["agent"]
    exclude = ["secret_hash"]


@admin.register(UsedRequest)
class UsedRequestAdmin(ReadOnlyAdmin):
    list_display = ["id", "expires_at"]
