"""Callers who never stop asking while something is done to the system."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby

import httpx2

from tests.faults.publish import Publish
from tests.faults.stack import Stack

NOBODY_LISTENS = 0


@contextmanager
def watched(stack: Stack, *publishes: Publish, agents: list[str]) -> Iterator[dict[str, list[int]]]:
    """What callers of each publish get at these agents' gateways meanwhile, by its id, again and again."""
    statuses: dict[str, list[int]] = {publish.id: [] for publish in publishes}
    begun, ended = threading.Event(), threading.Event()
    ways = [(publish, stack.agent(agent)["proxy_url"]) for publish in publishes for agent in agents]

    def watch() -> None:
        with httpx2.Client(trust_env=False, timeout=5) as caller:
            while not ended.wait(0.005):
                for publish, url in ways:
                    statuses[publish.id].append(_status(caller, url, publish.host))
                begun.set()

    thread = threading.Thread(target=watch)
    thread.start()
    assert begun.wait(10)
    try:
        yield statuses
    finally:
        ended.set()
        thread.join()


def in_turn(statuses: list[int]) -> list[int]:
    """The answers without repetitions: what changed to what."""
    return [status for status, _same in groupby(statuses)]


def _status(caller: httpx2.Client, url: str, host: str) -> int:
    try:
        return caller.get(url + "/billing", headers={"Host": host}).status_code
    except httpx2.TransportError:
        return NOBODY_LISTENS
