"""A heartbeat during a swap of Envoy's files: what is about to be in force is no news."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.drivers.base import Observed
from agent.drivers.envoy.admin_api import Admin, Kind
from agent.drivers.envoy.documents import Document
from tests.agent.doubles import live
from tests.agent.gateway import Gateway, Memory


@pytest.fixture
def heart() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=1) as pool:
        yield pool


def test_a_look_between_the_file_and_envoy_s_taking_it_finds_everything_in_force(
    gateway: Gateway, memory: Memory, heart: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    standing = live()
    memory.apply(standing)
    taken, save, worker = Admin.taken, Document.save, threading.current_thread()
    has_asked, is_saved, looks = threading.Event(), threading.Event(), list[Future[Observed]]()

    def ask_before_the_save(admin: Admin) -> dict[Kind, str]:
        versions = taken(admin)
        if threading.current_thread() is not worker:
            has_asked.set()
            is_saved.wait(5)
        return versions

    def save_after_the_question(document: Document, path: Path) -> None:
        if not looks:
            looks.append(heart.submit(memory.driver.observe, hasty=True))
            has_asked.wait(0.3)
        save(document, path)
        is_saved.set()

    monkeypatch.setattr(Admin, "taken", ask_before_the_save)
    monkeypatch.setattr(Document, "save", save_after_the_question)
    new = live()
    assert memory.apply(new).changes == 2
    (look,) = looks
    assert look.result(5).in_force
    assert look.result(5).carried.keys() == {standing.publish_id, new.publish_id}


def test_a_swap_that_does_not_end_keeps_no_heartbeat_waiting(
    gateway: Gateway, memory: Memory, heart: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.drivers.envoy.driver.LOOK_S", 0.05)
    wait_for, looks = Admin.wait_for, list[Observed]()

    def wait_for_the_heartbeat(admin: Admin, kind: Kind, version: str) -> None:
        looks.append(heart.submit(memory.driver.observe, hasty=True).result(5))
        wait_for(admin, kind, version)

    monkeypatch.setattr(Admin, "wait_for", wait_for_the_heartbeat)
    assert memory.apply(live()).changes == len(looks) == 2
    assert memory.observe().in_force
