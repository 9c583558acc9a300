"""The library's notes of sessions, without its own writing of them: it would keep the browser's secret. `tenants.people.sessions` writes them."""

from allauth.usersessions.apps import UserSessionsConfig


class NotedSessionsConfig(UserSessionsConfig):  # type: ignore[misc]
    """The library's app, listening to nothing."""

    def ready(self) -> None:
        """Its listeners stay out."""
