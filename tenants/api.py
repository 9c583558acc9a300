"""Who calls the JSON API: a bearer token, or a signed-in browser (whose writes carry the CSRF token)."""

from typing import Any

from django.http import HttpRequest
from ninja.security import APIKeyCookie, HttpBearer

from tenants.actors import Actor
from tenants.services import actor_by_session, actor_by_token


class TokenAuth(HttpBearer):
    """`Authorization: Bearer impg_…`"""

    def authenticate(self, request: HttpRequest, token: str) -> Actor:  # noqa: ARG002 - ninja's signature
        return actor_by_token(token)


class SessionAuth(APIKeyCookie):
    """The browser's session."""

    param_name = "sessionid"

    def authenticate(self, request: HttpRequest, key: str | None) -> Actor | None:  # noqa: ARG002 - ninja's signature
        return actor_by_session(request) if request.user.is_authenticated else None


def actor_of(request: HttpRequest) -> Actor:
    """The actor of an API request, whom one of the two above has put there."""
    actor: Any = getattr(request, "auth")  # noqa: B009 - ninja's attribute, unknown to Django's request type
    assert isinstance(actor, Actor)  # noqa: S101
    return actor
