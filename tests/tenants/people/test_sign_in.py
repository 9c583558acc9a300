"""Sign-in by identity provider and second step: off by default, and never an account for a stranger."""

import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import format_hotp_value, generate_totp_secret, hotp_value
from allauth.mfa.utils import encrypt
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import NoReverseMatch, reverse
from pytest_django import Settings

from tenants.models import User
from tests.core.security.test_secrets import NEW, OLD
from tests.issuer import CLIENT_ID, Issuer, running
from tests.pages import text_of
from tests.world import World

SIGN_IN, HOME = reverse("sign-in"), reverse("account:index")
SECOND_STEP = reverse("mfa_authenticate")
ACTIVATE = reverse("mfa_activate_totp")
CODE_S = 30
"""How long an app shows one code."""


@pytest.fixture
def two_step(settings: Settings) -> None:
    cache.clear()
    settings.TWO_STEP = True


@pytest.fixture
def issuer(settings: Settings) -> Iterator[Issuer]:
    with running() as new_issuer:
        app = {
            "provider_id": "oidc",
            "name": "Acme ID",
            "client_id": CLIENT_ID,
            "secret": "s",
            "settings": {"server_url": new_issuer.url},
        }
        settings.OIDC_ISSUER, settings.OIDC_NAME = new_issuer.url, "Acme ID"
        settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [app], "OAUTH_PKCE_ENABLED": True}}
        yield new_issuer


def browser() -> Client:
    return Client(headers={"Accept-Language": "en"})


def with_password(client: Client, name: str = "acme-owner") -> Any:
    return client.post(SIGN_IN, {"username": name, "password": f"{name.partition('-')[0]}-secret"})


def code_of(secret: str) -> str:
    """The code that an authenticator app shows now."""
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // CODE_S)))


def second_step_of(person: User) -> str:
    """The key of the app that this person has set up."""
    secret = str(generate_totp_secret())
    Authenticator.objects.create(user=person, type="totp", data={"secret": encrypt(secret)})
    return secret


def by_provider(client: Client, *, state: str = "", asking: str = "") -> Any:
    """Sign in at the issuer, as the person that it names."""
    redirect = client.post(reverse("openid_connect_login", args=["oidc"]) + asking)
    query = parse_qs(urlsplit(redirect.headers["Location"]).query)
    return client.get(
        reverse("openid_connect_callback", args=["oidc"]), {"code": "c", "state": state or query["state"][0]}
    )


@pytest.mark.parametrize(
    "name",
    [
        "mfa_authenticate",
        "mfa_index",
        "mfa_activate_totp",
        "mfa_deactivate_totp",
        "mfa_view_recovery_codes",
        "mfa_reauthenticate",
    ],
)
def test_without_the_setting_there_is_no_second_step(world: World, name: str) -> None:
    client = browser()
    with_password(client)
    assert client.get(reverse(name)).status_code == 404
    assert "Two-step" not in text_of(client.get(HOME))


def test_without_an_issuer_there_is_no_sign_in_by_one(world: World) -> None:
    assert "Sign in with" not in text_of(browser().get(SIGN_IN))
    assert browser().post(reverse("openid_connect_login", args=["oidc"])).status_code == 404
    assert browser().get(reverse("openid_connect_callback", args=["oidc"])).status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "account_signup",
        "account_email",
        "account_reset_password",
        "account_set_password",
        "socialaccount_connections",
    ],
)
def test_the_librarys_other_pages_do_not_exist(name: str) -> None:
    with pytest.raises(NoReverseMatch):
        reverse(name)


def test_the_second_step_is_set_up_asked_for_and_switched_off(world: World, two_step: None) -> None:
    client = browser()
    with_password(client)
    again = client.get(ACTIVATE, follow=True)
    assert "Is it still you?" in text_of(again)
    set_up = client.post(again.redirect_chain[-1][0], {"password": "acme-secret"}, follow=True)
    secret = set_up.context["form"].secret
    assert f"<code>{secret}</code>" in set_up.content.decode()
    assert 'src="data:image/svg+xml' in set_up.content.decode()
    codes = client.post(ACTIVATE, {"code": code_of(secret)}, follow=True)
    assert "Recovery codes" in text_of(codes)
    assert secret not in str(Authenticator.objects.get(type="totp").data)

    cache.clear()  # a code is taken once, and this test cannot wait for the next
    other = browser()
    assert with_password(other).headers["Location"] == SECOND_STEP
    assert re.search(r'<input [^>]*name="code"[^>]* autofocus', other.get(SECOND_STEP).content.decode())
    assert other.get(HOME).status_code == 302
    assert "Incorrect code." in text_of(other.post(SECOND_STEP, {"code": "000000"}))
    assert other.post(SECOND_STEP, {"code": code_of(secret)}).status_code == 302
    assert other.get(HOME).status_code == 200

    third = browser()
    with_password(third)
    recovery = codes.context["unused_codes"][0]
    assert third.post(SECOND_STEP, {"code": recovery}).status_code == 302
    assert third.get(HOME).status_code == 200
    fourth = browser()
    with_password(fourth)
    assert "Incorrect code." in text_of(fourth.post(SECOND_STEP, {"code": recovery}))

    assert client.post(reverse("mfa_deactivate_totp")).status_code == 302
    assert not Authenticator.objects.exists()
    assert with_password(browser()).headers["Location"] != SECOND_STEP


@pytest.mark.parametrize(
    ("late_s", "is_taken"), [(-2 * CODE_S, False), (-CODE_S, True), (CODE_S, True), (2 * CODE_S, False)]
)
def test_a_code_typed_slowly_or_by_a_phone_whose_clock_is_a_little_off_is_taken(
    world: World, two_step: None, late_s: int, is_taken: bool
) -> None:
    code = code_of(second_step_of(world.user))
    with time_machine.travel(time.time() + late_s):
        client = browser()
        with_password(client)
        assert (client.post(SECOND_STEP, {"code": code}).status_code == 302) is is_taken


@pytest.mark.parametrize("name", ["mfa_authenticate", "mfa_reauthenticate"])
def test_a_code_is_taken_once_however_long_it_would_be_good_for_and_whatever_process_is_asked(
    world: World, two_step: None, name: str
) -> None:
    start = int(time.time()) // CODE_S * CODE_S
    with time_machine.travel(start, tick=False) as clock:
        secret = second_step_of(world.user)
        clock.shift(CODE_S)
        code = code_of(secret)
        clock.shift(-CODE_S)
        client = browser()
        with_password(client)
        assert client.post(SECOND_STEP, {"code": code}).status_code == 302
        with connection.cursor() as rows:  # in this process's memory, another process would not know
            rows.execute("SELECT count(*) FROM cache WHERE cache_key LIKE %s", [f"%{code}%"])
            assert rows.fetchone() != (0,)
        for _ in range(4):
            clock.shift(CODE_S / 2 + 1)
            other = client if name == "mfa_reauthenticate" else browser()
            with_password(other)
            assert "Incorrect code." in text_of(other.post(reverse(name), {"code": f"{code[:3]} {code[3:]}"}))


def test_switched_off_by_the_operator_nobody_is_locked_out(world: World, settings: Settings) -> None:
    second_step_of(world.user)
    assert with_password(browser()).headers["Location"] != SECOND_STEP
    settings.TWO_STEP = True
    assert with_password(browser()).headers["Location"] == SECOND_STEP


def test_rotate_secrets_reaches_second_steps_so_that_the_old_key_can_go(
    world: World, two_step: None, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.ENCRYPTION_KEYS = [OLD]
    secret = second_step_of(world.user)
    recovery = RecoveryCodes.activate(world.user).generate_codes()[0]
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    call_command("rotate_secrets")
    call_command("rotate_secrets")
    assert (
        capsys.readouterr().out
        == "2 secrets encrypted again, 0 were up to date.\n0 secrets encrypted again, 2 were up to date.\n"
    )
    settings.ENCRYPTION_KEYS = [NEW]
    for code in (code_of(secret), recovery):
        client = browser()
        with_password(client)
        assert client.post(SECOND_STEP, {"code": code}).status_code == 302
        assert client.get(HOME).status_code == 200


@pytest.mark.parametrize("is_on", [False, True])
def test_operators_sign_in_where_everybody_does(world: World, settings: Settings, is_on: bool) -> None:
    """The admin's own form would know no second step, and note no session."""
    settings.TWO_STEP = is_on
    operator = User.objects.create_superuser("operator-1", password="operator-secret")
    second_step_of(operator)
    form = {"username": "operator-1", "password": "operator-secret", "next": "/admin/"}
    client = browser()
    answer = client.get("/admin/", follow=True)
    assert answer.redirect_chain[-1][0] == "/sign-in?next=/admin/"
    assert client.post("/admin/login/", form).headers["Location"].startswith("/sign-in")
    assert client.get("/admin/").status_code == 302
    assert client.post("/sign-in?next=/admin/", form).headers["Location"] == (
        SECOND_STEP if is_on else "/admin/"
    )
    assert client.get("/admin/").status_code == (302 if is_on else 200)
    assert UserSession.objects.filter(user=operator).count() == (0 if is_on else 1)
    provider = browser()
    with_password(provider)
    assert provider.get("/admin/", follow=True).status_code == 403


def test_somebody_known_by_a_verified_address_comes_in_and_is_known_from_then_on(
    world: World, issuer: Issuer
) -> None:
    User.objects.filter(pk=world.user.pk).update(email="Owner@Acme.example", theme="dark")
    issuer.person = {"sub": "42", "email": "owner@acme.example", "email_verified": True}
    client = browser()
    assert "Sign in with Acme ID" in text_of(client.get(SIGN_IN))
    assert (
        client.get(reverse("openid_connect_login", args=["oidc"])).status_code == 405
    )  # the library's own page would stand there
    assert by_provider(client).status_code == 302
    page = client.get(HOME).content.decode()
    assert "acme-owner" in page
    assert 'data-theme="dark"' in page
    assert issuer.token_requests[0]["code_verifier"]
    User.objects.filter(pk=world.user.pk).update(email="changed@acme.example")
    again = browser()
    by_provider(again)
    assert again.get(HOME).status_code == 200
    assert with_password(browser()).status_code == 302  # the password still works too


@pytest.mark.parametrize(
    "person",
    [
        {"sub": "1", "email": "owner@acme.example", "email_verified": False},
        {
            "sub": "2",
            "email": "stranger@elsewhere.example",
            "email_verified": True,
            "preferred_username": "acme-owner",
        },
        {"sub": "3"},
    ],
)
def test_nobody_gets_an_account_and_an_address_nobody_verified_opens_nothing(
    world: World, issuer: Issuer, person: dict[str, Any]
) -> None:
    User.objects.filter(pk=world.user.pk).update(email="owner@acme.example")
    issuer.person, client, before = person, browser(), User.objects.count()
    page = by_provider(client)
    page = client.get(page.headers["Location"]) if page.status_code == 302 else page
    assert "No account here" in text_of(page)
    assert User.objects.count() == before
    assert client.get(HOME).status_code == 302


def test_two_people_with_one_address_are_nobody(world: World, other: World, issuer: Issuer) -> None:
    User.objects.update(email="shared@acme.example")
    issuer.person, client = {"sub": "1", "email": "shared@acme.example", "email_verified": True}, browser()
    by_provider(client)
    assert client.get(HOME).status_code == 302


def test_whose_account_was_switched_off_is_told_so_and_stays_outside(world: World, issuer: Issuer) -> None:
    User.objects.filter(pk=world.user.pk).update(email="owner@acme.example")
    issuer.person = {"sub": "42", "email": "owner@acme.example", "email_verified": True}
    by_provider(browser())
    User.objects.filter(pk=world.user.pk).update(is_active=False)
    client = browser()
    refused = by_provider(client)
    assert (refused.status_code, "This account is inactive. Ask an operator." in text_of(refused)) == (
        403,
        True,
    )
    assert client.get(HOME).status_code == 302


@pytest.mark.parametrize("process", ["connect", "redirect", "x"])
def test_the_provider_is_there_for_signing_in_and_links_nothing_to_somebody_who_is_in(
    world: World, issuer: Issuer, process: str
) -> None:
    issuer.person = {"sub": "77", "email": "stranger@elsewhere.example", "email_verified": True}
    client = browser()
    with_password(client)
    refused = by_provider(client, asking=f"?process={process}")
    assert refused.status_code == 400
    assert not SocialAccount.objects.exists()
    stranger = browser()
    by_provider(stranger)
    assert stranger.get(HOME).status_code == 302
    assert client.get(HOME).status_code == 200


def test_a_forged_state_or_a_broken_issuer_is_told_in_words(world: World, issuer: Issuer) -> None:
    assert "The sign-in did not work" in text_of(by_provider(browser(), state="forged"))
    client = browser()
    redirect = client.post(reverse("openid_connect_login", args=["oidc"]))
    issuer.is_broken = True
    state = parse_qs(urlsplit(redirect.headers["Location"]).query)["state"][0]
    assert "The sign-in did not work" in text_of(
        client.get(reverse("openid_connect_callback", args=["oidc"]), {"code": "c", "state": state})
    )
    assert "The sign-in did not work" in text_of(
        browser().post(reverse("openid_connect_login", args=["oidc"]))
    )


def test_who_has_a_second_step_is_asked_for_it_after_the_provider_too(
    world: World, issuer: Issuer, two_step: None
) -> None:
    User.objects.filter(pk=world.user.pk).update(email="owner@acme.example")
    second_step_of(world.user)
    issuer.person = {"sub": "42", "email": "owner@acme.example", "email_verified": True}
    assert by_provider(browser()).headers["Location"] == SECOND_STEP
