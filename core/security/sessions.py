"""Database sessions stored by the hash of their key, so that a dump opens no session; and their idle limit.

The setting SESSION_ENGINE names this module.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends import db
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from core.pages.frame import is_htmx

RENEWED_AFTER = timedelta(minutes=5)
"""How long a session is used before its end moves, so that not each page writes a row."""


def stored_key(key: str) -> str:
    """The database's key of a session: a hash of 160 bits, the size of the column."""
    return hashlib.sha256(key.encode()).hexdigest()[:40]


class SessionStore(db.SessionStore):
    """`session_key` is the browser's secret, and exists only in its cookie."""

    ends_at: datetime | None = None

    @property
    def stored_key(self) -> str:
        """The database's key of this session, once it was saved."""
        return stored_key(self.session_key or "")

    @property
    def is_due(self) -> bool:
        """Whether the session's end should move, because it is in use."""
        idle = timedelta(seconds=settings.SESSION_COOKIE_AGE)
        return self.ends_at is not None and self.ends_at - timezone.now() < idle - RENEWED_AFTER

    def load(self) -> dict[str, Any]:
        """The session's data; empty when there is no session."""
        row = self.model.objects.filter(session_key=self.stored_key, expire_date__gt=timezone.now()).first()
        if row is None:
            self._session_key = None
            return {}
        self.ends_at = row.expire_date
        return self.decode(row.session_data)

    def exists(self, session_key: str) -> bool:
        """Whether a session with this secret exists."""
        return super().exists(stored_key(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        """The session's row."""
        row = super().create_model_instance(data)
        row.session_key = stored_key(row.session_key)
        return row

    def delete(self, session_key: str | None = None) -> None:
        """End the session with this secret, or this session."""
        if key := session_key or self.session_key:
            self.model.objects.filter(session_key=stored_key(key)).delete()


class IdleLimit:
    """A session in use is prolonged. Polls (GET by htmx) do not count as use."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        session: Any = request.session
        if session.accessed and session.is_due and not (request.method == "GET" and is_htmx(request)):
            session.modified = True
        return response
