"""The admin of people, workspaces and sign-in records. `operators` and `people` write every change."""

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
from tenants import operators, tokens
from tenants.doors import person_of
from tenants.models import ApiToken, Invitation, Membership, Tenant, User
from tenants.people import invitations, members

# Not needed here, or the library's page would bypass the services.
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
    actions = ["sign_out_everywhere", "remove_second_step"]

    def write(self, request: HttpRequest, record: User, form: ModelForm[User], *, is_new: bool) -> None:
        groups, permissions = form.cleaned_data.get("groups"), form.cleaned_data.get("user_permissions")
        operators.save_account(record, groups=groups, permissions=permissions, by=person_of(request))

    def remove(self, request: HttpRequest, record: User) -> None:
        operators.delete_account(record, by=person_of(request))

    @admin.action(permissions=["operate"], description=_("Sign out everywhere"))
    @asks_first(
        _("Sign these people out everywhere?"),
        warning=_("Each of their browsers has to sign in again. API tokens go on working."),
    )
    def sign_out_everywhere(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for account in queryset:
            operators.sign_out_everywhere(account, by=person_of(request))

    @admin.action(permissions=["operate"], description=_("Remove the second step"))
    @asks_first(
        _("Remove the second step of these accounts?"),
        warning=_(
            "The password alone signs in until a new app is set up. "
            "First check that the request is really theirs."
        ),
    )
    def remove_second_step(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for account in queryset:
            operators.remove_second_step(account, by=person_of(request))


@admin.register(Group)
class GroupAdmin(ServiceAdmin[Group], auth_admin.GroupAdmin):
    def write(self, request: HttpRequest, record: Group, form: ModelForm[Group], *, is_new: bool) -> None:
        operators.save_group(record, permissions=form.cleaned_data["permissions"], by=person_of(request))

    def remove(self, request: HttpRequest, record: Group) -> None:
        operators.delete_group(record, by=person_of(request))


class MembershipInline(ReadOnlyInline):
    model = Membership


@admin.register(Tenant)
class TenantAdmin(ServiceAdmin[Tenant]):
    list_display = ["name", "slug", "type", "created_at"]
    search_fields = ["name", "slug"]
    inlines = [MembershipInline]

    def write(self, request: HttpRequest, record: Tenant, form: ModelForm[Tenant], *, is_new: bool) -> None:
        operators.save_workspace(record, by=person_of(request))

    def remove(self, request: HttpRequest, record: Tenant) -> None:
        operators.delete_workspace(record, by=person_of(request))


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin):
    """Owners and admins manage the members of a workspace; an operator can only remove them."""

    list_display = ["user", "tenant", "role", "created_at"]
    list_filter = ["role"]
    list_select_related = ["user", "tenant"]
    search_fields = ["user__username", "tenant__name"]
    actions = ["expel"]

    @admin.action(permissions=["operate"], description=_("Remove from the workspace"))
    @asks_first(
        _("Remove these people from their workspace?"),
        warning=_("They lose access at once, and the API tokens that they made there are revoked."),
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
    """Tokens are created in the workspace or by `create_api_token`; here they can only be revoked."""

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
    actions = ["end_lock_out"]

    @admin.action(permissions=["operate"], description=_("End the lock-out"))
    def end_lock_out(self, request: HttpRequest, queryset: QuerySet[AccessAttempt]) -> None:
        for attempt in queryset:
            operators.end_lock_out(attempt, by=person_of(request))


@admin.register(Authenticator)
class AuthenticatorAdmin(ReadOnlyAdmin):
    """Second steps without their secrets. An action on the page of users removes them."""

    list_display = ["user", "type", "created_at", "last_used_at"]
    list_select_related = ["user"]
    exclude = ["data"]


@admin.register(SocialAccount)
class SocialAccountAdmin(ReadOnlyAdmin):
    """Accounts of the identity provider, and the users they sign in as."""

    list_display = ["user", "provider", "uid", "last_login", "date_joined"]
    list_select_related = ["user"]
    exclude = ["extra_data"]


@admin.register(UserSession)
class UserSessionAdmin(ReadOnlyAdmin):
    """People's sessions, without the key. An action on the page of users ends all sessions of a person."""

    list_display = ["user", "ip", "created_at", "last_seen_at", "user_agent"]
    list_select_related = ["user"]
    fields = ["user", "ip", "created_at", "last_seen_at", "user_agent"]
