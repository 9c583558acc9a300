"""Behind a TLS proxy only the address that the proxy names is locked out."""

import runpy

import pytest
from axes.helpers import get_client_ip_address
from axes.models import AccessAttempt
from django.core.cache import cache
from django.test import Client, RequestFactory
from pytest_django import Settings

from tenants.models import User
from tests.pages import text_of
from tests.tenants.people.test_sign_in import SECOND_STEP, code_of, second_step_of, with_password
from tests.world import World

PROXY = "10.0.0.1"


@pytest.fixture(autouse=True)
def proxied(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both libraries' settings as an operator gets them who says that there is a proxy."""
    monkeypatch.setenv("BEHIND_TLS_PROXY", "1")
    for name, value in runpy.run_path(str(settings.BASE_DIR / "config/settings.py")).items():
        if name.startswith(("AXES_", "ALLAUTH_")):
            setattr(settings, name, value)


def from_address(forwarded: str) -> Client:
    """A browser; the proxy says where it is, after whatever the browser itself said."""
    return Client(REMOTE_ADDR=PROXY, headers={"X-Forwarded-For": forwarded, "Accept-Language": "en"})


def fails(client: Client) -> int:
    status: int = client.post("/sign-in", {"username": "acme-owner", "password": "wrong"}).status_code
    return status


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("6.6.6.6, 203.0.113.5", "203.0.113.5"),
        ("6.6.6.6,203.0.113.5:4711", "203.0.113.5"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("", PROXY),
    ],
)
def test_the_address_is_the_last_one_which_the_proxy_wrote(forwarded: str, address: str) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR=PROXY, headers={"X-Forwarded-For": forwarded})
    assert get_client_ip_address(request) == address


def test_without_a_proxy_nobody_says_where_he_is_himself(settings: Settings) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 0
    request = RequestFactory().get("/", REMOTE_ADDR="203.0.113.5", headers={"X-Forwarded-For": "6.6.6.6"})
    assert get_client_ip_address(request) == "203.0.113.5"


def test_wrong_passwords_from_elsewhere_lock_nobody_out(world: World) -> None:
    assert [fails(from_address(f"203.0.113.{n % 5}")) for n in range(25)] == [200] * 25
    assert with_password(from_address("198.51.100.1")).status_code == 302
    assert AccessAttempt.objects.filter(ip_address=None).count() == 0


def test_wrong_passwords_from_one_address_lock_it_out_whatever_it_says_of_itself(world: World) -> None:
    assert [fails(from_address(f"6.6.6.{n}, 203.0.113.5")) for n in range(10)] == [200] * 9 + [429]
    assert with_password(from_address("203.0.113.5")).status_code == 429
    assert with_password(from_address("198.51.100.1")).status_code == 302


def test_wrong_codes_of_one_person_refuse_nobody_else_s_right_one(world: World, settings: Settings) -> None:
    cache.clear()
    settings.TWO_STEP = True
    secret = second_step_of(world.user)
    second_step_of(User.objects.create_user("acme-bad", password="acme-secret"))
    bad = from_address("203.0.113.5")
    with_password(bad, "acme-bad")
    answers = [text_of(bad.post(SECOND_STEP, {"code": "000000"})) for _ in range(12)]
    assert "Too many failed login attempts" in answers[-1]
    owner = from_address("198.51.100.1")
    with_password(owner)
    assert owner.post(SECOND_STEP, {"code": code_of(secret)}).status_code == 302
