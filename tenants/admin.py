"""Operators' view of tenants."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from tenants.models import ApiToken, Membership, Tenant, User

admin.site.register(User, UserAdmin)


class MembershipInline(admin.TabularInline[Membership, Tenant]):
    model = Membership
    extra = 0
    autocomplete_fields = ["user"]


@admin.register(Tenant)
class TenantAdmin(admin.ModelAdmin[Tenant]):
    list_display = ["name", "slug", "type", "created_at"]
    search_fields = ["name", "slug"]
    inlines = [MembershipInline]


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin[Membership]):
    list_display = ["user", "tenant", "role"]
    list_select_related = ["user", "tenant"]
    autocomplete_fields = ["user", "tenant"]


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin[ApiToken]):
    """Tokens are made by people in their workspace or by `create_api_token`; here they can only be revoked."""

    list_display = ["name", "prefix", "tenant", "role", "created_by", "expires_at", "revoked_at", "last_used_at"]
    list_select_related = ["tenant", "created_by"]
    readonly_fields = ["tenant", "name", "role", "prefix", "created_by", "last_used_at"]

    def has_add_permission(self, request: object) -> bool:  # noqa: ARG002 - Django's signature
        return False
