"""Authentication of the JSON API: a bearer token, or a signed-in browser (writes need the CSRF token)."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from ninja.security import APIKeyCookie, HttpBearer

from core.api import limits
from tenants.actors import Actor
from tenants.models import User
from tenants.tokens import actor_of_token, valid_token
from tenants.workspaces import actor_by_session


class TokenAuth(HttpBearer):
    """`Authorization: Bearer impg_…`"""

    def authenticate(self, request: HttpRequest, token: str) -> Actor:
        """The token's actor; takes one request of the token's minute."""
        api_token = valid_token(token)
        request.allowance = limits.take(api_token.pk, limit=settings.API_REQUESTS_PER_MINUTE)  # type: ignore[attr-defined]
        return actor_of_token(api_token)


class _BySession(APIKeyCookie):
    """Without a session the answer is 401, before any CSRF check."""

    param_name = settings.SESSION_COOKIE_NAME

    def __call__(self, request: HttpRequest) -> Any:
        return super().__call__(request) if request.user.is_authenticated else None


class SessionAuth(_BySession):
    """The browser's session."""

    def authenticate(self, request: HttpRequest, key: str | None) -> Actor:  # noqa: ARG002 - ninja's signature
        return actor_by_session(request)


class OperatorAuth(_BySession):
    """The session of an operator, who needs no tenant."""

    def authenticate(self, request: HttpRequest, key: str | None) -> User | None:  # noqa: ARG002 - ninja's signature
        user = request.user
        return user if isinstance(user, User) and user.is_active and user.is_staff else None


def actor_of(request: HttpRequest) -> Actor:
    """The actor of an API request, set by TokenAuth or SessionAuth."""
    actor: Any = getattr(request, "auth")  # noqa: B009 - ninja's attribute, unknown to Django's request type
    assert isinstance(actor, Actor)  # noqa: S101
    return actor


def is_operator(request: HttpRequest) -> bool:
    """Whether an operator calls, where OperatorAuth allows one."""
    return isinstance(getattr(request, "auth", None), User)


def scope_of(request: HttpRequest) -> tuple[UUID, str]:
    """The scope of an idempotency key: tenant and role."""
    actor = actor_of(request)
    return actor.tenant_id, actor.role
