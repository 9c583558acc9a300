"""A worker over a real state folder and a gateway in memory, for tests."""

from pathlib import Path
from uuid import uuid4

from agent.drivers.memory import MemoryDriver, MemoryGateway
from agent.protocol.messages import Item, Result
from agent.protocol.spec import Spec
from agent.work.batch import BatchParts
from agent.work.state import Store
from agent.work.upstreams import Pinner
from agent.work.worker import Ticket, Worker, wait_for
from tests.agent.doubles import LOOPBACK


class Bench:
    """A worker over a state folder and a gateway, that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gateway = MemoryGateway()
        self.reserved: tuple[str, ...] = ("127.0.0.1:9901",)
        self.open()

    def open(self) -> None:
        """As after a start of the process: nothing is known but the disk."""
        self.store = Store(self.folder)
        self.driver = MemoryDriver(self.gateway)
        self.worker = Worker(
            BatchParts(driver=self.driver, store=self.store, pinner=Pinner(), reserved=self.reserved)
        )

    def start(self) -> list[Ticket]:
        return self.worker.start()

    def submit(self, *specs: Spec) -> list[Ticket]:
        return self.worker.submit(
            [Item(spec=spec, delivery=uuid4(), token=uuid4()) for spec in specs], networks=LOOPBACK
        )

    def bring(self, *specs: Spec) -> list[Result]:
        return results_of(self.submit(*specs))

    def carried(self, spec: Spec) -> int | None:
        pinned_spec = self.gateway.carried.get(spec.publish_id)
        return pinned_spec.spec.generation if pinned_spec else None


def results_of(tickets: list[Ticket]) -> list[Result]:
    assert wait_for(tickets, timeout_s=5)
    return [ticket.result for ticket in tickets]
