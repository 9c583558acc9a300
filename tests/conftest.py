"""Fixtures that every kind of test may use."""

from collections.abc import Iterator

import pytest
from django.test import Client
from django.utils import translation
from hypothesis import HealthCheck, settings
from pytest_django import Settings

from core import pulse
from tests.api_clients import api, long_minutes, owner, stranger, viewer
from tests.hang import Hang
from tests.issuing import issuer_site
from tests.pages import signed_in
from tests.publishes.pages.run import Run
from tests.world import World, make_world

__all__ = ["api", "issuer_site", "long_minutes", "owner", "stranger", "viewer"]

# How long an example takes says how loaded the machine is, and nothing of what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: Playwright's event loop then stays in this thread, and no other can run."""
    items.sort(key=lambda item: "e2e" in item.path.parts)


@pytest.fixture(autouse=True)
def fast_passwords(settings: Settings) -> None:
    """Hashing a password properly takes a third of a second; no test is about that."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Texts are English in tests, whether the Korean catalogue was compiled or not."""
    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def background_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages take it that worker and beat are alive; a test that is about them looks again."""
    monkeypatch.setattr(pulse.watch, "until", float("inf"))


@pytest.fixture
def hang() -> Iterator[Hang]:
    """A `Hang` that ends with the test at the latest."""
    hanging = Hang()
    yield hanging
    hanging.let_go()


@pytest.fixture
def world(db: None) -> World:
    """A tenant, a product, a cluster with two connected agents."""
    new_world = make_world()
    new_world.add_agent("busan-1")
    new_world.add_agent("busan-2")
    return new_world


@pytest.fixture
def other(db: None) -> World:
    """Another tenant with a world of its own."""
    new_world = make_world("globex")
    new_world.add_agent("else-1")
    return new_world


@pytest.fixture
def browser(world: World) -> Client:
    """The tenant's owner, reading English."""
    return signed_in(world.user)


@pytest.fixture
def run(world: World) -> Run:
    """The owner's browser before the first step of the wizard."""
    return Run(world, signed_in(world.user))
