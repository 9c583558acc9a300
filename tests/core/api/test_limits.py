"""How many requests a token may make: counted for each token, over all processes, without the broker."""

from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from core.api import limits
from core.models import RateWindow
from tests.api_clients import client_for
from tests.world import World

P = "/api/v1/provider"


def test_every_answer_says_what_is_left_and_the_one_too_many_when_to_come_back(
    world: World, settings: Settings
) -> None:
    settings.API_REQUESTS_PER_MINUTE = 3
    api, path = client_for(world), f"{P}/products/{world.product.pk}/publishes"
    remaining = [api.get(path).headers["RateLimit-Remaining"] for _ in range(3)]
    assert remaining == ["2", "1", "0"]
    refused = api.get(path)
    assert (refused.status_code, refused.json()["code"], refused.headers["RateLimit-Limit"]) == (
        429,
        "too_many_requests",
        "3",
    )
    assert int(refused.headers["Retry-After"]) == int(refused.headers["RateLimit-Reset"]) > 0
    assert client_for(world).get(path).status_code == 200  # another token


def test_two_processes_together_do_not_get_more_than_one(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    token = uuid4()
    processes: list[dict[Any, Any]] = [{}, {}]
    allowed = 0
    for number in range(500):
        monkeypatch.setattr(limits, "_shares", processes[number % 2])
        try:
            limits.take(token, limit=300)
            allowed += 1
        except limits.TooManyRequests:
            pass
    assert allowed == 300


def test_a_process_asks_the_database_once_per_hundredth_of_the_limit(
    db: None, django_assert_num_queries: Any
) -> None:
    token = uuid4()
    with django_assert_num_queries(10):
        for _ in range(600):
            limits.take(token, limit=6_000)


def test_a_token_that_is_over_its_limit_costs_no_queries(db: None, django_assert_num_queries: Any) -> None:
    token = uuid4()
    limits.take(token, limit=1)
    with django_assert_num_queries(0):
        for _ in range(100):
            with pytest.raises(limits.TooManyRequests):
                limits.take(token, limit=1)


def test_sessions_are_not_counted(world: World, settings: Settings) -> None:
    settings.API_REQUESTS_PER_MINUTE = 1
    browser = Client()
    browser.force_login(world.user, "django.contrib.auth.backends.ModelBackend")
    assert [browser.get(f"{P}/operations").status_code for _ in range(3)] == [200, 200, 200]
    assert not RateWindow.objects.exists()


def test_old_windows_are_forgotten(db: None) -> None:
    limits.take(uuid4(), limit=10)
    RateWindow.objects.update(starts_at=timezone.now())
    limits.forget_old_windows()
    assert RateWindow.objects.count() == 1
    with time_machine.travel(0):
        RateWindow.objects.update(starts_at=timezone.now())
    limits.forget_old_windows()
    assert not RateWindow.objects.exists()
