"""A live server over the test database, a browser, and agents that are at work."""

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.testcases import LiveServerThread
from playwright.sync_api import Browser, Page
from pytest_django.live_server_helper import LiveServer

from clusters.models import AgentLiveness
from tests.e2e.browser import Guard, open_page, started
from tests.e2e.server import Server
from tests.world import World, make_world

# Playwright's synchronous API keeps an event loop in this thread; Django would take that for async code.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
LiveServerThread.server_class = Server

Open = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for the run."""
    with started() as chromium:
        yield chromium


def set_stage() -> World:
    """A tenant with the brief's product, and three agents with gateways."""
    world = make_world()
    for number, name in enumerate(("busan-1", "seoul-1", "seoul-2")):
        voice = world.add_agent(name)
        AgentLiveness.objects.filter(agent=voice.agent).update(
            proxy_url=f"http://127.0.0.1:{18080 + number}", gateway_version="1.40.0"
        )
    world.gateway.listeners.create(name="http", port=8080, protocol="HTTP")
    world.cluster.description = "Seoul, Korea"
    world.cluster.save()
    return world


def owner_of(world: World) -> Client:
    """A signed-in session without the sign-in page, for requests before the browser takes it over."""
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(world.user, "django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def stage(transactional_db: None) -> World:
    """The world of most browser tests."""
    return set_stage()


@pytest.fixture
def client(stage: World) -> Client:
    """The stage's owner."""
    return owner_of(stage)


@pytest.fixture
def guard(live_server: LiveServer) -> Iterator[Guard]:
    """Fails the test when a page did what it must not do."""
    watching = Guard(live_server.url)
    yield watching
    assert watching.problems == []


@pytest.fixture
def open_as(browser: Browser, live_server: LiveServer, guard: Guard) -> Iterator[Open]:
    """Open a page with a session, or as nobody: `open_as(client, size="phone")`."""
    pages: list[Page] = []

    def opened(client: Client | None = None, **how: Any) -> Page:
        session = str(client.cookies["sessionid"].value) if client else ""
        page = open_page(browser, home=live_server.url, session=session, **how)
        guard.watch(page.context)
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.context.close()
    server = live_server.thread.httpd
    assert isinstance(server, Server)
    assert server.is_left_alone(within=10), "a request of a closed page is still being answered"


@pytest.fixture
def agents_at_work(stage: World) -> Iterator[threading.Event]:
    """The stage's agents confirm what is due, a moment after it is. Set the event to let them rest."""
    paused, ended = threading.Event(), threading.Event()

    def work() -> None:
        while not ended.wait(0.05):
            if not paused.is_set():
                stage.everybody_confirms()
        connection.close()

    thread = threading.Thread(target=work, name="agents")
    thread.start()
    yield paused
    ended.set()
    thread.join()
