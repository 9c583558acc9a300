"""One run of the wizard as a browser without script makes it."""

import re
from dataclasses import dataclass
from html import unescape
from typing import Any

from django.test import Client
from django.urls import reverse

from tests.pages import text_of
from tests.world import World

STEPS = ("cluster", "gateway", "settings", "confirm")
_KEY = re.compile(r'name="confirm-run_key" value="([^"]*)"')
_SUGGESTED = re.compile(r'name="settings-hostname_(base|suggested)" value="([^"]*)"')


@dataclass
class Run:
    """The wizard of one product in one browser."""

    world: World
    client: Client

    def url(self, step: str) -> str:
        """A step's address."""
        return reverse("publishes:create-step", args=[self.world.product.pk, step])

    def get(self, step: str) -> Any:
        """Look at a step."""
        return self.client.get(self.url(step))

    def post(self, step: str, **fields: Any) -> Any:
        """Send a step's fields; names are given without the step before them."""
        own = {
            name if name.startswith("wizard_") else f"{step}-{name}": value for name, value in fields.items()
        }
        return self.client.post(self.url(step), own)

    def settings(self, **changes: Any) -> dict[str, Any]:
        """What the settings page would send when only these were changed by hand."""
        shown = dict(_SUGGESTED.findall(self.get("settings").content.decode()))
        filled = {
            "environment": "dev",
            "auth_mode": "none",
            "visibility": "public",
            "approval_required": "on",
        }
        return filled | {f"hostname_{name}": value for name, value in shown.items()} | changes

    def choose(self, *, upto: str = "confirm", **settings: Any) -> None:
        """Fill in all steps before that one."""
        places = {
            "cluster": {"cluster": self.world.cluster.pk},
            "gateway": {"gateway": self.world.gateway.pk},
        }
        for step in STEPS[: STEPS.index(upto)]:
            response = self.post(step, **(places[step] if step in places else self.settings(**settings)))
            assert response.status_code == 302, text_of(response)

    def key(self) -> str:
        """The key that the confirm page carries."""
        match = _KEY.search(self.get("confirm").content.decode())
        assert match
        return unescape(match[1])

    def confirm(self) -> Any:
        """Look at the confirm page, and click 배포 생성."""
        return self.post("confirm", run_key=self.key())
