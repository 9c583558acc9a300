"""The supervisor's door into Django, in its own process: each start of Django would cost a second more."""

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django
from django.core.management import call_command
from django.db import connections

if TYPE_CHECKING:
    from demo.seed import Seeded


class ControlPlane:
    """Django, set up once in this process.

    Its database connection never stays open: the supervisor lives longer than its server.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Load the settings and all apps; needs no server yet."""
        os.environ.update(environment)
        django.setup()
        self._seed: Any = importlib.import_module("demo.seed")  # needs the apps to be loaded

    def collect_static(self) -> None:
        """Put the static files where the web server takes them from."""
        call_command("collectstatic", interactive=False, verbosity=0)

    def migrate_and_seed(
        self, *, upstreams: dict[str, str], state: Path, with_kong: bool = False
    ) -> "Seeded":
        """Bring the schema and the sample data up to date; existing data stays."""
        call_command("migrate", interactive=False, verbosity=0)
        seeded: Seeded = self._seed.seed(upstreams=upstreams, state=state, with_kong=with_kong)
        connections.close_all()
        return seeded

    def enrolment_code(self, *, cluster: str, agent: str) -> str:
        """A one-time code for this agent."""
        code: str = self._seed.enrolment_code(cluster=cluster, agent=agent)
        connections.close_all()
        return code

    def connected_agents(self) -> set[str]:
        """The names of the agents that were seen lately."""
        names: set[str] = self._seed.connected_agents()
        connections.close_all()
        return names
