"""An agent whose every step is the test's, without threads, over a gateway in memory.

The store, batch, heartbeat and sealed requests are the real ones.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from django.conf import settings
from django.test import Client

from agent.config import Identity, Settings
from agent.control_plane import heartbeat
from agent.control_plane.client import ControlPlane, ControlPlaneFailed
from agent.control_plane.pull import Puller
from agent.drivers.base import PinnedSpec
from agent.drivers.memory import MemoryDriver, MemoryGateway
from agent.protocol.messages import Carried, Command, CommandAnswer, Evidence, Outcome
from agent.protocol.signing import import_key
from agent.protocol.spec import State
from agent.work.batch import BatchParts
from agent.work.carried import carried_now
from agent.work.state import STATE_FILE, Store, erase
from agent.work.upstreams import Pinner
from agent.work.worker import Ticket, Worker
from clusters import keys
from tests.world import Voice

PINNER = Pinner()
"""Shared: each has threads of its own, and a run makes hundreds of agents."""

DOOR = Client()
"""Shared: the first request of each loads the middleware, and with it looks at every static file."""


class Killed(BaseException):
    """Stands for kill -9: no handler may see it."""


class Fate(StrEnum):
    """What becomes of one exchange between an agent and the control plane."""

    WELL = "well"
    REQUEST_LOST = "request lost"
    ANSWER_LOST = "answer lost"


class Line(httpx2.BaseTransport):
    """The way from an agent to the control plane's door, in this process."""

    def __init__(self) -> None:
        self.is_cut = False
        self.fates: deque[Fate] = deque()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """One request, as its fate wants it."""
        fate = self.fates.popleft() if self.fates else Fate.WELL
        if self.is_cut or fate is Fate.REQUEST_LOST:
            raise httpx2.ConnectError("no way there")
        headers = {"Authorization": request.headers["authorization"]}
        response = DOOR.post(
            request.url.path, request.read(), content_type="application/json", headers=headers
        )
        if fate is Fate.ANSWER_LOST:
            raise httpx2.ReadTimeout("no answer")
        return httpx2.Response(response.status_code, content=response.content)


class WatchedDriver(MemoryDriver):
    """Remembers all that it has ever proved."""

    name = "envoy"

    def __init__(self, gateway: MemoryGateway, proved: set[tuple[UUID, int, str]]) -> None:
        super().__init__(gateway, proxy_url="http://127.0.0.1:1")
        self._proved = proved

    def verify(self, pinned_spec: PinnedSpec) -> Evidence:
        """As it is, and noted."""
        evidence = super().verify(pinned_spec)
        self._proved.add((pinned_spec.publish_id, pinned_spec.spec.generation, pinned_spec.spec.digest))
        return evidence


@dataclass
class Post:
    """The postman's bag; the test hands it in."""

    tickets: list[Ticket] = field(default_factory=list)

    def follow(self, tickets: Iterable[Ticket]) -> None:
        """Into the bag."""
        self.tickets += tickets


class SteppedAgent:
    """One agent with its gateway. Its disk and its gateway outlive it; all else is gone when it is killed."""

    def __init__(self, voice: Voice, folder: Path) -> None:
        self.voice, self.folder = voice, folder
        self.gateway, self.line = MemoryGateway(), Line()
        self.proved: set[tuple[UUID, int, str]] = set()
        self._older_disk: dict[str, bytes] | None = None
        self._identity = self._first_identity()
        folder.mkdir()
        self.start()

    def __repr__(self) -> str:
        return self.voice.agent.name

    def start(self) -> None:
        """A fresh process: it knows what is on its disk."""
        self.is_up = True
        self.gateway.before = lambda _point: None
        self.store = Store(self.folder)
        driver = WatchedDriver(self.gateway, self.proved)
        self.control_plane = ControlPlane(
            self._identity, client=httpx2.Client(transport=self.line, trust_env=False)
        )
        self.worker = Worker(BatchParts(driver=driver, store=self.store, pinner=PINNER, reserved=()))
        self.post = Post()
        parts: dict[str, Any] = {
            "driver": driver,
            "store": self.store,
            "control_plane": self.control_plane,
            "worker": self.worker,
            "pinner": PINNER,
        }
        post: Any = self.post
        self.puller = Puller(
            control_plane=self.control_plane, worker=self.worker, postman=post, store=self.store
        )
        self.heart = heartbeat.Heart(
            heartbeat.HeartbeatParts(**parts, puller=self.puller, reserved=(), remember=self._remember)
        )
        self.post.follow(self.worker.recover())

    def die_at(self, point: str) -> None:
        """Be killed when the driver comes to this point: observe, apply, swap or verify."""

        def at(reached: str) -> None:
            if reached == point:
                raise Killed

        self.gateway.before = at

    def alive(self, step: Callable[[], object]) -> None:
        """Take a step, which may be its last."""
        if not self.is_up:
            return
        try:
            step()
        except Killed:
            self.kill()

    def restore_disk(self) -> None:
        """The machine comes back with an earlier copy of its disk; the next copy is made at this moment."""
        self.kill()
        self.store.close()
        files = {path.name: path.read_bytes() for path in self.folder.glob(f"{STATE_FILE}*")}
        if self._older_disk is not None:
            erase(self.folder)
            for name, content in self._older_disk.items():
                (self.folder / name).write_bytes(content)
        self._older_disk = files
        self.start()

    def kill(self) -> None:
        """kill -9."""
        self.is_up = False
        self.gateway.before = lambda _point: None

    def take(self, command: Command, *, in_time: bool) -> CommandAnswer:
        """The agent's door: queue, wait, answer; what is late goes to the postman."""
        received = Command.model_validate_json(command.model_dump_json())
        tickets = self.worker.submit(
            received.items, networks=received.upstream_networks, reserved=received.reserved
        )
        if in_time:
            self.worker.work_once()
        results = [(ticket, ticket.result) for ticket in tickets]
        self.post.follow(ticket for ticket, result in results if result.outcome is Outcome.WORKING)
        return CommandAnswer(results=tuple(result for _ticket, result in results))

    def beat(self) -> None:
        """One heartbeat with all that follows from it."""
        try:
            self.heart.beat()
            self.puller.pull_once()
            self.heart.refresh_addresses()
        except ControlPlaneFailed:
            pass

    def hand_in(self) -> None:
        """The postman's round: what is done is handed in, what is not is said to be under way."""
        if self.post.tickets:
            try:
                self.control_plane.results([ticket.result for ticket in self.post.tickets])
            except ControlPlaneFailed:
                return
            self.post.tickets = [ticket for ticket in self.post.tickets if not ticket.job.finished.is_set()]

    def report(self) -> list[Carried]:
        """The lines of a report that the agent would send now, if it is up."""
        before, self.gateway.before = self.gateway.before, lambda _point: None
        try:
            return carried_now(MemoryDriver(self.gateway), self.store.records) if self.is_up else []
        finally:
            self.gateway.before = before

    def carried_state(self, publish_id: UUID) -> tuple[int, str, State] | None:
        """Generation, digest and state that the gateway serves."""
        pinned_spec = self.gateway.carried.get(publish_id)
        return (
            (pinned_spec.spec.generation, pinned_spec.spec.digest, pinned_spec.spec.state)
            if pinned_spec
            else None
        )

    def _remember(self, identity: Identity) -> None:
        self._identity = identity

    def _first_identity(self) -> Identity:
        agent = self.voice.agent
        own_settings = Settings(
            agent_id=str(agent.pk),
            name=agent.name,
            cluster="c",
            control_plane_url=settings.PUBLIC_URL,
            listen="",
            advertise=agent.url,
            driver="envoy",
        )
        return Identity(
            settings=own_settings,
            key=self.voice.key,
            control_plane_keys=tuple(import_key(key) for key in keys.pinned_keys()),
        )
