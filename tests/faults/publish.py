"""One publish, as a script sees it through the API."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

OPEN = {"QUEUED", "SENT"}


@dataclass(frozen=True)
class Publish:
    """Made by `Stack.draft`."""

    api: httpx2.Client
    id: str
    host: str

    @property
    def path(self) -> str:
        """Its URL."""
        return f"/api/v1/provider/product-publishes/{self.id}"

    @property
    def status(self) -> str:
        """DRAFT, PUBLISHED or WITHDRAWN."""
        return str(self.api.get(self.path).json()["status"])

    def ask(self, verb: str, **body: str) -> httpx2.Response:
        """publish, withdraw or delete."""
        if verb == "delete":
            return self.api.delete(self.path)
        return self.api.post(f"{self.path}/{verb}", json=body)

    def operation(self, answer: httpx2.Response) -> dict[str, Any]:
        """The operation that an answer's `Location` names, as it is now."""
        assert answer.status_code == 202, answer.text
        operation: dict[str, Any] = self.api.get(answer.headers["Location"]).json()
        return operation

    def ended(self, answer: httpx2.Response, *, within_s: float) -> dict[str, Any]:
        """Poll the operation until it has ended."""
        give_up_at = time.monotonic() + within_s
        while (operation := self.operation(answer))["phase"] in OPEN:
            assert time.monotonic() < give_up_at, f"not within {within_s} s: {operation}"
            time.sleep(0.05)
        return operation

    def run(self, verb: str, *, within_s: float = 20.0, **body: str) -> dict[str, Any]:
        """Ask, and wait until it has succeeded."""
        operation = self.ended(self.ask(verb, **body), within_s=within_s)
        assert operation["phase"] == "SUCCEEDED", operation
        return operation

    def transitions(self) -> list[str]:
        """The statuses it went to, oldest first."""
        events = self.api.get(f"{self.path}/events").json()
        return [event["to_status"] for event in reversed(events) if event["to_status"]]

    def clean_up(self) -> None:
        """Off the gateway again, once whatever goes on has ended."""
        if self.status != "DRAFT":
            self._insist("withdraw", reason="the test is over")
        self._insist("delete")

    def _insist(self, verb: str, **body: str) -> None:
        give_up_at = time.monotonic() + 60
        while (answer := self.ask(verb, **body)).status_code == 409 and answer.json()[
            "code"
        ] == "operation_open":
            assert time.monotonic() < give_up_at, answer.text
            time.sleep(0.2)
        if answer.status_code == 202:
            assert self.ended(answer, within_s=30)["phase"] == "SUCCEEDED"


def clean_up(publishes: Sequence[Publish]) -> None:
    """Take many off the gateway side by side."""
    for verb in ("withdraw", "delete"):
        answers = [
            (publish, publish.ask(verb, reason="the test is over"))
            for publish in publishes
            if verb == "delete" or publish.status == "PUBLISHED"
        ]
        for publish, answer in answers:
            if answer.status_code == 202:
                publish.ended(answer, within_s=60)
