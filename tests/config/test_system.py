"""The banner on every page while the background work stands still (F6)."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core import pulse
from core.models import Pulse
from publishes import sweeping, tasks
from tenants.models import User
from tests.pages import signed_in, url
from tests.world import World

WARNING = "The background work has stopped"


@pytest.fixture(autouse=True)
def look_again(monkeypatch: pytest.MonkeyPatch, background_goes_on: None) -> None:
    monkeypatch.setattr(pulse, "watch", pulse._Watch())
    monkeypatch.setattr(pulse, "GLANCE_S", 0.0)


def warns(client: Client, path: str) -> bool:
    return WARNING in client.get(path, headers={"Accept-Language": "en"}).content.decode()


def test_every_page_says_when_the_sweep_is_silent_and_no_page_does_otherwise(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "close_old_connections", lambda: None)
    browser, paths = (
        signed_in(world.user),
        [reverse("products:list"), url("detail", world.draft()), "/system", "/sign-in"],
    )
    assert [path for path in paths[:3] if not warns(browser, path)] == []
    assert warns(Client(), "/sign-in")
    tasks.sweep()
    assert [path for path in paths[:3] if warns(browser, path)] == []
    Pulse.objects.update(beat_at=timezone.now() - timedelta(seconds=16))
    assert warns(browser, paths[0])
    assert Client().get("/readyz").status_code == 503


def test_a_sweep_that_fails_leaves_no_pulse(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(tasks, "close_old_connections", lambda: None)
    monkeypatch.setattr(sweeping, "sweep", broken)
    with pytest.raises(ZeroDivisionError):
        tasks.sweep()
    assert pulse.is_silent()
    assert Client().get("/readyz").status_code == 503


def test_operators_read_the_same_in_the_admin(world: World) -> None:
    operator, paths = (
        signed_in(User.objects.create_superuser("operator")),
        [reverse("admin:index"), reverse("admin:publishes_alarm_changelist")],
    )
    assert [warns(operator, path) for path in paths] == [True, True]
    assert "백그라운드 작업" in operator.get(paths[0], headers={"Accept-Language": "ko"}).content.decode()
    pulse.beat()
    assert [warns(operator, path) for path in paths] == [False, False]


def test_pages_look_once_every_few_seconds_and_not_each(
    world: World, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(pulse, "GLANCE_S", 60.0)
    with django_assert_num_queries(1):
        for _ in range(5):
            Client().get("/system")


def test_a_database_that_is_away_does_not_keep_the_page_from_being_shown(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> bool:
        raise DatabaseError

    monkeypatch.setattr(pulse, "is_silent", fail)
    assert not warns(Client(), "/system")
