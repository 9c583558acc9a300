"""Our rules for django-allauth: nobody signs up, an identity provider vouches for people we know, second-step secrets are encrypted."""

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

# The library stores these secrets inside JSON and tells no row, so they are bound to the table alone.
_PLACE: dict[str, Any] = {"table": "mfa_authenticator", "row": UUID(int=0), "column": "data"}


def address_of(request: HttpRequest) -> str | None:
    """Where somebody signs in from, the same for all who count failures: behind a TLS proxy what that wrote, never what callers say themselves."""
    try:
        address: str = get_adapter().get_client_ip(request)
    except PermissionDenied:  # the request has none: no browser sent it
        return None
    return address


class PeopleRules(DefaultAccountAdapter):  # type: ignore[misc]
    """Operators make accounts; nobody makes one for themselves."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002 - the library's signature
        return False

    def post_login(self, request: HttpRequest, user: User, **told: Any) -> HttpResponse:
        """However somebody signed in: the session has its workspace and is noted, and this browser shows pages as they like them."""
        bind_session(request, user.pk)
        sessions.note(request, user, address=self.get_client_ip(request))
        return keep_preferences(
            super().post_login(request, user, **told), language=user.language, theme=user.theme
        )

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:  # noqa: ARG002 - the library's signature
        """Somebody whom the identity provider still vouches for, but operators do not any more."""
        raise Forbidden(_("This account was switched off. Ask an operator."))

    def add_message(self, *args: Any, **told: Any) -> None:
        """The pages themselves say what happened."""


class ProviderRules(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Who comes from the identity provider must have an account here already."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:  # noqa: ARG002 - the library's signature
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """The first time, the one account with an address that the provider has verified is meant; no other way links anybody."""
        if sociallogin.state.get("process") != AuthProcess.LOGIN:
            raise BadRequest
        if sociallogin.is_existing or request.user.is_authenticated:
            return
        verified = [address.email for address in sociallogin.email_addresses if address.verified]
        people = [
            person
            for email in verified
            for person in User.objects.filter(email__iexact=email, is_active=True)
        ]
        if len(people) == 1:
            sociallogin.connect(request, people[0])


class SecondStepRules(DefaultMFAAdapter):  # type: ignore[misc]
    """The second step is asked for only while the setting is on."""

    def is_mfa_enabled(self, user: User, types: Any = None) -> bool:
        return settings.TWO_STEP and bool(super().is_mfa_enabled(user, types=types))

    def encrypt(self, text: str) -> str:
        return secrets.encrypt(text, **_PLACE)

    def decrypt(self, encrypted_text: str) -> str:
        return secrets.decrypt(encrypted_text, **_PLACE)
