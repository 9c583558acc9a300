"""An agent in this process, for tests: all its parts but the command line, over a gateway in memory."""

import threading
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2

from agent.config import Identity, Settings
from agent.control_plane import heartbeat
from agent.control_plane.client import ControlPlane, new_client
from agent.control_plane.postman import Postman
from agent.control_plane.pull import Puller
from agent.drivers.base import Driver
from agent.drivers.memory import MemoryDriver, MemoryGateway
from agent.protocol import messages, signing
from agent.serving.door import open_door
from agent.serving.server import App
from agent.work.batch import BatchParts
from agent.work.state import Store
from agent.work.upstreams import Pinner
from agent.work.watch import Watch
from agent.work.worker import Worker
from tests.agent.doubles import ControlPlaneDouble, Enrolled, free_port


class Running:
    """An agent in this process, all but the command line, over a gateway in memory or another driver."""

    def __init__(self, folder: Path, double: ControlPlaneDouble, *, driver: Driver | None = None) -> None:
        self.double, self.gateway, self.store = double, MemoryGateway(), Store(folder)
        self.remembered: list[Identity] = []
        self.url = f"http://127.0.0.1:{free_port()}"
        self.me = Enrolled(agent_id=uuid4(), key=signing.new_key(), url=self.url, driver="memory")
        double.agents[str(self.me.agent_id)] = self.me
        listen = self.url.removeprefix("http://")
        settings = Settings(
            agent_id=str(self.me.agent_id),
            name="one",
            cluster="c",
            control_plane_url=double.url,
            listen=listen,
            advertise=self.url,
            driver="memory",
        )
        self._client = new_client()
        self.control_plane = ControlPlane(
            Identity(settings=settings, key=self.me.key, control_plane_keys=(double.key,)),
            client=self._client,
        )
        self.postman = Postman(self.control_plane)
        driver = driver or MemoryDriver(self.gateway, proxy_url="http://proxy.example")
        pinner = Pinner()
        self.worker = Worker(
            BatchParts(driver=driver, store=self.store, pinner=pinner, reserved=(listen,)),
            on_finish=self.postman.nudge,
        )
        self.puller = Puller(
            control_plane=self.control_plane, worker=self.worker, postman=self.postman, store=self.store
        )
        self.heart = heartbeat.Heart(
            heartbeat.HeartbeatParts(
                driver=driver,
                store=self.store,
                control_plane=self.control_plane,
                worker=self.worker,
                puller=self.puller,
                pinner=pinner,
                reserved=(listen,),
                remember=self.remembered.append,
            )
        )
        self.watch = Watch(driver, self.worker)
        self._server: Any = open_door(
            App(control_plane=self.control_plane, worker=self.worker, postman=self.postman), listen
        )
        self._serving = threading.Thread(target=self._server.run, daemon=True)
        self._serving.start()
        self.postman.start()
        self.worker.start()

    def beat(self) -> None:
        """One heartbeat, and the pull that it asks for."""
        self.heart.beat()
        self.puller.pull_once()

    def stop(self) -> None:
        self.heart.stop()
        self.postman.stop()
        self.worker.stop(timeout_s=1)
        # A program's port is closed by its end; here its loop closes it, since nobody else may while it
        # polls.
        self._server.trigger.pull_trigger(partial(self._server.asyncore.close_all, self._server._map))
        self._serving.join(timeout=5)
        self._server.task_dispatcher.shutdown()
        self._client.close()

    def post(self, content: str | bytes, path: str = messages.PATH_COMMANDS) -> httpx2.Response:
        return httpx2.post(self.url + path, content=content, trust_env=False, timeout=10)

    def seal(self, *specs: object, **more: object) -> signing.Sealed:
        return self.double.seal(str(self.me.agent_id), *specs, **more)  # type: ignore[arg-type]
