"""A real agent in the test's thread, with real disk, batches and requests; its gateway is in memory.

`beat()` is what the program does at each heartbeat. Nothing is pushed to it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from django.test import Client

from agent.config import Identity, Settings
from agent.control_plane import keys as agent_keys
from agent.control_plane.client import ControlPlane
from agent.drivers.memory import MemoryDriver, MemoryGateway
from agent.protocol.messages import Heartbeat, HeartbeatAnswer, Result
from agent.protocol.signing import key_set
from agent.protocol.version import PROGRAM_VERSION
from agent.work import batch
from agent.work.carried import carried_now, fingerprint_of, let_in, pages_of
from agent.work.state import Store
from agent.work.upstreams import Pinner
from clusters import keys
from publishes.models import ProductPublish
from tests.world import Voice

URL = "http://testserver.localhost:2"


class _ToTheControlPlane(httpx2.BaseTransport):
    """Requests go to the control plane of this very process and transaction."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {name: request.headers[name] for name in ("authorization", "accept-language")}
        answer = Client(headers=headers).post(
            request.url.path, request.read(), content_type="application/json"
        )
        return httpx2.Response(
            answer.status_code,
            content=answer.content,
            headers={"content-type": answer.headers["Content-Type"]},
        )


class Program:
    """The program of an agent row, over a gateway of its own or one that it shares."""

    def __init__(self, voice: Voice, folder: Path, gateway: MemoryGateway | None = None) -> None:
        self.voice, self.folder, self.gateway = voice, folder, gateway or MemoryGateway()
        folder.mkdir(exist_ok=True)
        settings = Settings(
            agent_id=str(voice.agent.pk),
            name=voice.agent.name,
            cluster="acme-kr",
            control_plane_url=URL,
            listen="127.0.0.1:9",
            advertise="",
            driver="memory",
        )
        client = httpx2.Client(transport=_ToTheControlPlane())
        self.control_plane = ControlPlane(
            Identity(settings=settings, key=voice.key, control_plane_keys=keys.signing_keys()), client=client
        )
        self.remembered: list[Identity] = []
        self.start()

    def start(self) -> None:
        """Read the disk, as at each start of the program."""
        self.store, self.driver = Store(self.folder), MemoryDriver(self.gateway)
        self.kit = batch.BatchParts(driver=self.driver, store=self.store, pinner=Pinner(), reserved=())

    def beat(self, **changes: Any) -> HeartbeatAnswer:
        """One heartbeat, and all that its answer asks for."""
        carried = carried_now(self.driver, self.store.records)
        described = self.driver.describe()
        heartbeat = Heartbeat(
            agent_version=PROGRAM_VERSION,
            driver="memory",
            fingerprint=fingerprint_of(carried),
            gateway_ok=described.ok,
        )
        heartbeat = heartbeat.model_copy(
            update={"pinned": key_set(self.control_plane.identity.control_plane_keys)} | changes
        )
        answer = self.control_plane.heartbeat(heartbeat)
        agent_keys.follow(self.control_plane, answer, remember=self.remembered.append)
        if answer.report:
            answers = [self.control_plane.report(page) for page in pages_of(carried)]
            if asked_publishes := [publish for answered in answers for publish in answered.keys_asked]:
                self.control_plane.let_in(let_in(carried, self.store.records, of=asked_publishes))
            self.store.forget(absence for answered in answers for absence in answered.forget)
            self.fetch([publish for answered in answers for publish in answered.wanted])
        return answer

    def fetch(self, publish_ids: Iterable[UUID]) -> list[Result]:
        """Fetch, apply and hand in."""
        specs = self.control_plane.specs(publish_ids)
        results: list[Result] = []
        tokens = {item.spec.publish_id: item.token for item in specs.items}
        batch.run(
            self.kit,
            [item.spec for item in specs.items],
            networks=specs.upstream_networks,
            reserved=specs.reserved,
            finish=results.append,
        )
        self.control_plane.results(
            result.model_copy(update={"token": tokens[result.publish_id]}) for result in results
        )
        return results

    def serves(self) -> dict[UUID, tuple[int, str]]:
        """Generation and state that callers meet, by publish."""
        return {
            publish: (carried.spec.generation, carried.spec.state.value)
            for publish, carried in self.gateway.carried.items()
        }


def desired_states() -> dict[UUID, tuple[int, str]]:
    """The generation and desired state that the control plane has for each publish."""
    rows = ProductPublish.objects.filter(desired_state__in=["live", "withdrawn"])
    return {row.pk: (row.generation, row.desired_state) for row in rows}
