"""Operators' view of clusters and agents. What agents say about themselves is read-only."""

from django.contrib import admin

from clusters.models import Agent, AgentKey, AgentLiveness, Cluster, EnrolmentCode, UsedRequest
from core.admin import ReadOnlyAdmin


class AgentInline(admin.TabularInline[Agent, Cluster]):
    model = Agent
    extra = 0
    fields = ["name", "driver", "url", "blocked_at"]
    readonly_fields = ["driver", "url"]
    show_change_link = True


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

    @admin.display(description="last seen")
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
