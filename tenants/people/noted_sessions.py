"""The library's app of session notes without its listeners, which would store the browser's secret.

`tenants.people.sessions` writes the notes.
"""

from allauth.usersessions.apps import UserSessionsConfig


class NotedSessionsConfig(UserSessionsConfig):  # type: ignore[misc]
    """The library's app without listeners."""

    def ready(self) -> None:
        """Connect no listeners."""
