"""Our rules for django-allauth: no sign-up, identity providers for known people, encrypted secrets."""

from typing import Any
from uuid import UUID

from allauth.account.adapter import DefaultAccountAdapter, get_adapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.base.constants import AuthProcess
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from core.pages.frame import keep_preferences
from core.problems import BadRequest, Forbidden
from core.security import secrets
from tenants.models import User
from tenants.people import sessions
from tenants.workspaces import bind_session

# The library stores these secrets in JSON and passes no row, so they are bound to the table alone.
_PLACE: dict[str, Any] = {"table": "mfa_authenticator", "row": UUID(int=0), "column": "data"}


def address_of(request: HttpRequest) -> str | None:
    """The client's address for counts of failures; behind a TLS proxy from the proxy's header alone."""
    try:
        address: str = get_adapter().get_client_ip(request)
    except PermissionDenied:  # the request has no address
        return None
    return address


class PeopleRules(DefaultAccountAdapter):  # type: ignore[misc]
    """Only operators create accounts."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002 - the library's signature
        return False

    def post_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse:
        """After every sign-in: bind the workspace, note the session, store the preferences in the browser."""
        bind_session(request, user.pk)
        sessions.note(request, user, address=self.get_client_ip(request))
        return keep_preferences(
            super().post_login(request, user, **kwargs), language=user.language, theme=user.theme
        )

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:  # noqa: ARG002 - the library's signature
        """The identity provider accepts the person, but the account is inactive."""
        raise Forbidden(_("This account is inactive. Ask an operator."))

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Our pages show their own messages."""


class ProviderRules(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """A person from the identity provider must already have an account."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:  # noqa: ARG002 - the library's signature
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Link the one account with an e-mail address that the provider verified, and no other account."""
        if sociallogin.state.get("process") != AuthProcess.LOGIN:
            raise BadRequest
        if sociallogin.is_existing or request.user.is_authenticated:
            return
        verified = [address.email for address in sociallogin.email_addresses if address.verified]
        people: list[User] = []
        for email in verified:
            people += User.objects.filter(email__iexact=email, is_active=True)
        if len(people) == 1:
            sociallogin.connect(request, people[0])


class SecondStepRules(DefaultMFAAdapter):  # type: ignore[misc]
    """The second step works only while the setting is on."""

    def is_mfa_enabled(self, user: User, types: Any = None) -> bool:
        return settings.TWO_STEP and bool(super().is_mfa_enabled(user, types=types))

    def encrypt(self, text: str) -> str:
        return secrets.encrypt(text, **_PLACE)

    def decrypt(self, encrypted_text: str) -> str:
        return secrets.decrypt(encrypted_text, **_PLACE)
