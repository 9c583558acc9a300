"""Sessions: dumps open none, idle ones end, and private pages have strict headers and cookies."""

import runpy
from datetime import timedelta
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.conf import settings as project
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db.models import F
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from core.api.limits import Failures
from tenants.pages import sign_in
from tests.api_clients import client_for
from tests.pages import SCRIPT, signed_in
from tests.world import World


def by_password(world: World) -> Client:
    client = Client(headers={"Accept-Language": "en"})
    assert (
        client.post("/sign-in", {"username": world.user.username, "password": "acme-secret"}).status_code
        == 302
    )
    return client


def test_what_a_dump_says_of_sessions_opens_nothing(world: World) -> None:
    browser = by_password(world)
    secret = browser.cookies["sessionid"].value
    (session,), (noted,) = Session.objects.all(), UserSession.objects.all()
    assert noted.session_key == session.session_key
    assert secret not in str(Session.objects.values()) + str(UserSession.objects.values())
    thief = Client()
    thief.cookies["sessionid"] = session.session_key
    assert thief.get("/account").status_code == 302
    assert browser.get("/account").status_code == 200


def test_signing_in_again_elsewhere_and_changing_the_password_keep_the_notes_right(world: World) -> None:
    first, second = by_password(world), by_password(world)
    assert UserSession.objects.count() == 2
    change = {
        "old_password": "acme-secret",
        "new_password1": "another-long-one",
        "new_password2": "another-long-one",
    }
    assert first.post("/account/password", change).status_code == 302
    assert "this browser" in first.get("/account").content.decode()
    assert second.get("/account").status_code == 302
    assert UserSession.objects.count() == Session.objects.count() == 1
    first.post(reverse("sign-out"))
    assert not Session.objects.exists()


def used(minutes_ago: int) -> None:
    Session.objects.update(
        expire_date=timezone.now()
        + timedelta(seconds=project.SESSION_COOKIE_AGE)
        - timedelta(minutes=minutes_ago)
    )


def time_left() -> timedelta:
    return Session.objects.get().expire_date - timezone.now()


def test_an_unused_session_ends_and_a_used_one_goes_on(world: World) -> None:
    browser = signed_in(world.user)
    idle = timedelta(seconds=project.SESSION_COOKIE_AGE)
    assert timedelta(minutes=15) <= idle <= timedelta(hours=12)
    used(minutes_ago=20)
    assert browser.get("/account").status_code == 200
    assert idle - time_left() < timedelta(minutes=1)
    Session.objects.update(expire_date=F("expire_date") - idle)
    assert browser.get("/account").status_code == 302


def test_what_a_page_asks_for_by_itself_is_no_use_of_a_session(world: World) -> None:
    browser = signed_in(world.user)
    used(minutes_ago=20)
    browser.get("/system", headers=SCRIPT)
    browser.get(reverse("overview:board"), headers=SCRIPT)
    assert timedelta(seconds=project.SESSION_COOKIE_AGE) - time_left() > timedelta(minutes=19)


@pytest.mark.parametrize(
    "path",
    [
        "/account",
        "/provider/products",
        "/sign-in",
        "/api/v1/provider/products",
        "/no-such-page",
        "/agent/v1/report",
    ],
)
def test_private_answers_are_stored_nowhere_and_say_what_may_use_them(world: World, path: str) -> None:
    client = client_for(world) if path.startswith("/api/") else signed_in(world.user)
    headers = client.get(path).headers
    assert "no-store" in headers["Cache-Control"]
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]


def test_cookies_belong_to_this_host_alone_when_they_are_secure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSECURE_COOKIES", "0")
    secure = runpy.run_path(str(project.BASE_DIR / "config/settings.py"))
    assert (secure["SESSION_COOKIE_NAME"], secure["CSRF_COOKIE_NAME"]) == (
        "__Host-sessionid",
        "__Host-csrftoken",
    )
    assert (secure["SESSION_COOKIE_SECURE"], secure["CSRF_COOKIE_SECURE"]) == (True, True)


def test_an_address_that_tries_many_names_is_locked_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in, "FAILURES", 5)
    stranger = Client(REMOTE_ADDR="127.0.0.7", headers={"Accept-Language": "en"})
    tries = [stranger.post("/sign-in", {"username": f"name{number}", "password": "x"}) for number in range(6)]
    assert [answer.status_code for answer in tries] == [200] * 5 + [429]
    assert "Too many wrong passwords" in tries[-1].content.decode()
    right = {"username": world.user.username, "password": "acme-secret"}
    assert stranger.post("/sign-in", right).status_code == 429
    assert Client(REMOTE_ADDR="127.0.0.8").post("/sign-in", right).status_code == 302


def test_failures_are_counted_over_the_minutes_that_they_are_meant_for(db: None) -> None:
    failures = Failures(of="a test", most=2, minutes=15)
    failures.require_few()
    failures.count()
    failures.count()
    with pytest.raises(Exception, match="too_many_failures"):
        failures.require_few()
    Failures(of="another", most=2, minutes=15).require_few()


@pytest.mark.parametrize(
    ("changes", "check_id"),
    [
        ({"SECRET_KEY": "x"}, "core.E001"),
        ({"SECRET_KEY": "x" * 60}, "core.E001"),
        ({"DEBUG": True, "SESSION_COOKIE_SECURE": True}, "core.E002"),
    ],
)
def test_check_refuses_a_weak_key_and_debugging_in_production(
    settings: Settings, changes: dict[str, Any], check_id: str
) -> None:
    call_command("check")
    for name, value in changes.items():
        setattr(settings, name, value)
    with pytest.raises(CommandError, match=check_id.replace(".", r"\.")) as refused:
        call_command("check")
    assert project.SECRET_KEY * 2 not in str(refused.value)
