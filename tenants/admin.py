"""Operators' view of people and workspaces, and of what the sign-in's libraries keep. Everything is written by `operating` and `members`."""

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.auth import admin as auth_admin
from django.contrib.auth.models import Group
from django.db.models.query import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from core.admin import ReadOnlyAdmin, ReadOnlyInline, ServiceAdmin, asks_first
from tenants import operating, tokens
from tenants.doors import person_of
from tenants.models import ApiToken, Invitation, Membership, Tenant, User
from tenants.people import invitations, members

# What nobody needs here, and what the libraries' own pages would change past the services.
for model in (
    AccessAttempt,
    AccessFailureLog,
    AccessLog,
    Authenticator,
    EmailAddress,
    Group,
    SocialAccount,
    SocialApp,
    SocialToken,
    UserSession,
):
    admin.site.unregister(model)


@admin.register(User)
class UserAdmin(ServiceAdmin[User], auth_admin.UserAdmin[User]):
    actions = ["sign_out_everywhere", "take_second_step_off"]

    def write(self, request: HttpRequest, record: User, form: ModelForm[User], *, is_new: bool) -> None:
        groups, permissions = form.cleaned_data.get("groups"), form.cleaned_data.get("user_permissions")
        operating.save_account(record, groups=groups, permissions=permissions, by=person_of(request))

    def remove(self, request: HttpRequest, record: User) -> None:
        operating.delete_account(record, by=person_of(request))

    @admin.action(permissions=["operate"], description=_("Sign out everywhere"))
    @asks_first(
        _("Sign these people out everywhere?"),
        warning=_("Each of their browsers has to sign in again. API tokens go on working."),
    )
    def sign_out_everywhere(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for account in queryset:
            operating.sign_out_everywhere(account, by=person_of(request))

    @admin.action(permissions=["operate"], description=_("Take the second step off"))
    @asks_first(
        _("Take the second step off these accounts?"),
        warning=_(
            "Their password alone signs in, until they set up a new app. Make sure that it is really they who ask."
        ),
    )
    def take_second_step_off(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for account in queryset:
            operating.take_second_step_off(account, by=person_of(request))


@admin.register(Group)
class GroupAdmin(ServiceAdmin[Group], auth_admin.GroupAdmin):
    def write(self, request: HttpRequest, record: Group, form: ModelForm[Group], *, is_new: bool) -> None:
        operating.save_group(record, permissions=form.cleaned_data["permissions"], by=person_of(request))

    def remove(self, request: HttpRequest, record: Group) -> None:
        operating.delete_group(record, by=person_of(request))


class MembershipInline(ReadOnlyInline):
    model = Membership


@admin.register(Tenant)
class TenantAdmin(ServiceAdmin[Tenant]):
    list_display = ["name", "slug", "type", "created_at"]
    search_fields = ["name", "slug"]
    inlines = [MembershipInline]

    def write(self, request: HttpRequest, record: Tenant, form: ModelForm[Tenant], *, is_new: bool) -> None:
        operating.save_workspace(record, by=person_of(request))

    def remove(self, request: HttpRequest, record: Tenant) -> None:
        operating.delete_workspace(record, by=person_of(request))


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin):
    """Owners and admins of a workspace decide who belongs to it; an operator can take somebody out."""

    list_display = ["user", "tenant", "role", "created_at"]
    list_filter = ["role"]
    list_select_related = ["user", "tenant"]
    search_fields = ["user__username", "tenant__name"]
    actions = ["expel"]

    @admin.action(permissions=["operate"], description=_("Take out of the workspace"))
    @asks_first(
        _("Take these people out of their workspace?"),
        warning=_(
            "They see nothing of it from then on, and the API tokens that they made there are revoked."
        ),
    )
    def expel(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        self.each(request, queryset, lambda row: members.expel(row.pk, by=request.user.get_username()))


@admin.register(Invitation)
class InvitationAdmin(ServiceAdmin[Invitation]):
    """The first owner of a workspace is invited here; later ones by its owners and admins."""

    list_display = ["user", "tenant", "role", "by", "expires_at"]
    list_select_related = ["user", "tenant"]
    autocomplete_fields = ["user", "tenant"]

    def has_change_permission(self, request: HttpRequest, obj: Invitation | None = None) -> bool:
        return False

    def write(
        self,
        request: HttpRequest,
        record: Invitation,
        form: ModelForm[Invitation],
        *,
        is_new: bool,
    ) -> None:
        invitations.offer(record, by=request.user.get_username())

    def remove(self, request: HttpRequest, record: Invitation) -> None:
        invitations.withdraw(record, by=request.user.get_username())


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    """Tokens are made by people in their workspace or by `create_api_token`; here they can only be revoked."""

    list_display = [
        "name",
        "prefix",
        "tenant",
        "role",
        "created_by",
        "expires_at",
        "revoked_at",
        "last_used_at",
    ]
    list_select_related = ["tenant", "created_by"]
    actions = ["revoke"]

    @admin.action(permissions=["operate"], description=_("Revoke at once"))
    @asks_first(
        _("Revoke these tokens?"),
        warning=_("Programs that use them are refused at once. This cannot be undone."),
    )
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        for token in queryset:
            tokens.end_api_token(token, by=request.user.get_username())


@admin.register(AccessAttempt)
class AccessAttemptAdmin(ReadOnlyAdmin):
    list_display = ["username", "ip_address", "failures_since_start", "attempt_time"]
    fields = ["username", "ip_address", "failures_since_start", "attempt_time", "user_agent"]
    search_fields = ["username", "ip_address"]
    actions = ["let_in_again"]

    @admin.action(permissions=["operate"], description=_("Let in again"))
    def let_in_again(self, request: HttpRequest, queryset: QuerySet[AccessAttempt]) -> None:
        for attempt in queryset:
            operating.let_in_again(attempt, by=person_of(request))


@admin.register(Authenticator)
class AuthenticatorAdmin(ReadOnlyAdmin):
    """Without its secret. It is taken off on the page of users."""

    list_display = ["user", "type", "created_at", "last_used_at"]
    list_select_related = ["user"]
    exclude = ["data"]


@admin.register(SocialAccount)
class SocialAccountAdmin(ReadOnlyAdmin):
    """Who comes from the identity provider as whom."""

    list_display = ["user", "provider", "uid", "last_login", "date_joined"]
    list_select_related = ["user"]
    exclude = ["extra_data"]


@admin.register(UserSession)
class UserSessionAdmin(ReadOnlyAdmin):
    """Where people are signed in, without the session's key. All of somebody's are ended on the page of users."""

    list_display = ["user", "ip", "created_at", "last_seen_at", "user_agent"]
    list_select_related = ["user"]
    fields = ["user", "ip", "created_at", "last_seen_at", "user_agent"]
