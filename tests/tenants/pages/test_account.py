"""My account: preferences that pages follow, the password, sessions, and the workspace I work in."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core.security.sessions import stored_key
from publishes import sweeping
from publishes.models import ProductPublish
from tenants.actors import Role
from tenants.models import Membership, User
from tests.pages import signed_in, text_of, url
from tests.world import World

ACCOUNT = reverse("account:index")
PREFERENCES = reverse("account:preferences")


def signs_in(
    name: str = "acme-owner",
    password: str = "acme-secret",  # noqa: S107
    agent: str = "Mozilla/5.0 (Windows) Firefox/140.0",
) -> Client:
    client = Client(headers={"User-Agent": agent, "Accept-Language": "en"})
    assert client.post(reverse("sign-in"), {"username": name, "password": password}).status_code == 302
    return client


def test_times_follow_the_persons_zone_and_seoul_is_the_first(world: World, browser: Client) -> None:
    publish = world.published()
    ProductPublish.objects.filter(pk=publish.pk).update(published_at=datetime(2026, 5, 1, 15, 30, tzinfo=UTC))
    assert "2026-05-02 00:30:00" in text_of(browser.get(url("detail", publish)))
    assert (
        browser.post(PREFERENCES, {"language": "", "theme": "", "time_zone": "America/New_York"}).status_code
        == 302
    )
    assert "2026-05-01 11:30:00" in text_of(browser.get(url("detail", publish)))
    assert "2026-05-02 00:30:00" in text_of(
        signed_in(User.objects.get(pk=_viewer(world).pk)).get(url("detail", publish))
    )


def test_a_zone_that_is_none_is_refused_and_nothing_is_kept(world: World, browser: Client) -> None:
    refused = browser.post(PREFERENCES, {"language": "ko", "theme": "dark", "time_zone": "Moon/Base"})
    assert refused.status_code == 422
    assert "Unknown time zone. Enter one such as Asia/Seoul." in text_of(refused)
    world.user.refresh_from_db()
    assert (world.user.language, world.user.theme, world.user.time_zone) == ("", "", "Asia/Seoul")


def test_language_and_theme_are_kept_and_come_along_to_the_next_browser(
    world: World, browser: Client
) -> None:
    browser.post(PREFERENCES, {"language": "ko", "theme": "dark", "time_zone": "Asia/Seoul"})
    page = browser.get(ACCOUNT).content.decode()
    assert '<html lang="ko" data-theme="dark">' in page
    assert "환경 설정이 저장되었습니다" in page
    assert '<html lang="ko" data-theme="dark">' in signs_in().get(ACCOUNT).content.decode()
    browser.post(PREFERENCES, {"language": "", "theme": "", "time_zone": "Asia/Seoul"})
    assert '<html lang="en">' in browser.get(ACCOUNT).content.decode()


@pytest.mark.parametrize(
    ("browser_has", "text"),
    [("ko", "환경 설정이 저장되었습니다"), ("en", "Your preferences were saved"), ("xx", "환경 설정이")],
)
def test_who_leaves_the_language_to_the_browser_reads_in_its_language_that_it_was_saved(
    world: World, browser: Client, browser_has: str, text: str
) -> None:
    for cookie in ("en", "ko"):
        browser.cookies["django_language"] = cookie
        browser.post(
            PREFERENCES,
            {"language": "", "theme": "", "time_zone": "Asia/Seoul"},
            headers={"Accept-Language": browser_has},
        )
        assert text in text_of(browser.get(ACCOUNT, headers={"Accept-Language": browser_has}))


def test_a_new_password_keeps_this_browser_and_ends_the_others(world: World) -> None:
    this_browser, other_browser = signs_in(), signs_in()
    change = {
        "old_password": "acme-secret",
        "new_password1": "a-quite-new-one",
        "new_password2": "a-quite-new-one",
    }
    assert (
        this_browser.post(reverse("account:password"), change | {"old_password": "wrong"}).status_code == 422
    )
    assert (
        this_browser.post(reverse("account:password"), change | {"new_password2": "other"}).status_code == 422
    )
    assert this_browser.post(reverse("account:password"), change).status_code == 302
    assert this_browser.get(ACCOUNT).status_code == 200
    assert other_browser.get(ACCOUNT).status_code == 302
    signs_in(password="a-quite-new-one")


def test_a_password_like_the_user_name_is_refused_in_words_that_read_right(
    world: World, browser: Client
) -> None:
    like = {"old_password": "acme-secret", "new_password1": "acme-owner1", "new_password2": "acme-owner1"}
    refused = browser.post(reverse("account:password"), like, headers={"Accept-Language": "ko"})
    assert (
        refused.status_code,
        "비밀번호가 사용자 이름, 이름 또는 이메일과 너무 비슷합니다." in text_of(refused),
    ) == (422, True)


def known_as(browser: Client) -> str:
    """Under which key the database knows a browser's session."""
    return stored_key(browser.cookies["sessionid"].value)


def test_sessions_are_listed_and_ended_one_by_one_or_all(world: World) -> None:
    this_browser, phone, tablet = (
        signs_in(),
        signs_in(agent="Mozilla/5.0 (iPhone) Safari/605"),
        signs_in(agent="curl/8"),
    )
    page = text_of(this_browser.get(ACCOUNT))
    for label in ("Firefox · Windows 127.0.0.1 this browser", "Safari · iPhone", "curl"):
        assert label in page
    of_phone = UserSession.objects.get(session_key=known_as(phone))
    assert this_browser.post(reverse("account:end-session", args=[of_phone.pk])).status_code == 302
    assert phone.get(ACCOUNT).status_code == 302
    assert tablet.get(ACCOUNT).status_code == 200
    this_browser.post(reverse("account:end-other-sessions"))
    assert tablet.get(ACCOUNT).status_code == 302
    assert this_browser.get(ACCOUNT).status_code == 200


def test_what_is_left_of_sessions_that_expired_or_were_ended_is_forgotten(world: World) -> None:
    this_browser, expired, out = signs_in(), signs_in(), signs_in()
    Session.objects.filter(session_key=known_as(expired)).update(
        expire_date=timezone.now() - timedelta(seconds=1)
    )
    Session.objects.create(
        session_key="nobodys", session_data="", expire_date=timezone.now() - timedelta(days=30)
    )
    out.post(reverse("sign-out"))
    assert (Session.objects.count(), UserSession.objects.count()) == (3, 3)
    sweeping.tidy()
    assert [row.session_key for row in Session.objects.all()] == [known_as(this_browser)]
    assert [row.session_key for row in UserSession.objects.all()] == [known_as(this_browser)]
    assert this_browser.get(ACCOUNT).status_code == 200


def test_nobody_ends_somebody_elses_session(world: World, other: World) -> None:
    theirs = signs_in("globex-owner", "globex-secret")
    key = UserSession.objects.get(user=other.user).pk
    assert signs_in().post(reverse("account:end-session", args=[key])).status_code == 404
    assert theirs.get(ACCOUNT).status_code == 200


def test_ten_wrong_passwords_lock_the_name_at_this_address_and_no_other_name(
    world: World, other: World
) -> None:
    client = Client()
    for _ in range(10):
        client.post(reverse("sign-in"), {"username": "acme-owner", "password": "nope"})
    locked = client.post(reverse("sign-in"), {"username": "acme-owner", "password": "acme-secret"})
    assert locked.status_code == 429
    elsewhere = Client(REMOTE_ADDR="203.0.113.9").post(
        reverse("sign-in"), {"username": "acme-owner", "password": "acme-secret"}
    )
    assert elsewhere.status_code == 302
    signs_in("globex-owner", "globex-secret")


def test_switching_the_workspace_switches_everything_and_the_session_keeps_it(
    world: World, other: World, browser: Client
) -> None:
    publish, theirs = world.draft(), other.draft()
    Membership.objects.create(user=world.user, tenant=other.tenant, role=Role.VIEWER)
    assert browser.get(url("detail", theirs)).status_code == 404
    switched = browser.post(reverse("account:workspace"), {"tenant": str(other.tenant.pk)})
    assert switched.headers["Location"] == "/"
    assert browser.get(url("detail", publish)).status_code == 404
    page = browser.get(url("detail", theirs)).content.decode()
    assert "<strong>Globex</strong>" in page
    assert browser.post(url("execute", theirs)).status_code == 403  # a viewer there, an owner here
    assert browser.get(f"/api/v1/provider/product-publishes/{publish.pk}").status_code == 404
    Membership.objects.filter(user=world.user, tenant=other.tenant).delete()
    assert browser.get(url("detail", publish)).status_code == 403  # nothing moves back by itself


@pytest.mark.parametrize("tenant", ["", "x", "00000000-0000-0000-0000-000000000000", "theirs"])
def test_a_workspace_that_is_not_ones_own_cannot_be_switched_to(
    world: World, other: World, browser: Client, tenant: str
) -> None:
    value = str(other.tenant.pk) if tenant == "theirs" else tenant
    assert browser.post(reverse("account:workspace"), {"tenant": value}).status_code == 404
    assert "<strong>Acme</strong>" in browser.get(ACCOUNT).content.decode()


def test_people_without_a_workspace_still_have_an_account(db: None) -> None:
    page = signed_in(User.objects.create_user("nobody")).get(ACCOUNT)
    assert page.status_code == 200
    assert "Members" not in text_of(page)


@pytest.mark.parametrize("name", ["preferences", "password", "workspace", "end-other-sessions"])
def test_account_changes_need_a_signed_in_person_and_a_post(world: World, browser: Client, name: str) -> None:
    assert Client().post(reverse(f"account:{name}")).headers["Location"].startswith("/sign-in")
    assert browser.get(reverse(f"account:{name}")).status_code in {302, 405}


@pytest.mark.parametrize("name", ["preferences", "password"])
def test_the_address_of_a_form_that_was_refused_leads_to_its_page(
    world: World, browser: Client, name: str
) -> None:
    refused = browser.post(reverse(f"account:{name}"), {"time_zone": "Nowhere"})
    assert refused.status_code == 422
    (path,) = re.findall(r'name="next" value="([^"]+)"', refused.content.decode())[:1]
    assert browser.get(path).headers["Location"] == ACCOUNT


def test_the_form_shows_the_language_and_theme_that_the_switches_chose(world: World, browser: Client) -> None:
    browser.post(reverse("set_language"), {"language": "ko", "next": ACCOUNT})
    browser.post(reverse("set-theme"), {"theme": "dark", "next": ACCOUNT})
    page = browser.get(ACCOUNT).content.decode()
    assert ('<option value="ko" selected>' in page, '<option value="dark" selected>' in page) == (True, True)


def test_the_account_page_costs_a_handful_of_queries(
    world: World, browser: Client, django_assert_num_queries: Any
) -> None:
    for number in range(20):
        UserSession.objects.create(user=world.user, session_key=f"k{number}", ip="127.0.0.1", user_agent="x")
    with django_assert_num_queries(3 + 2):
        browser.get(ACCOUNT)


def _viewer(world: World) -> User:
    user = User.objects.create_user("viewer")
    Membership.objects.create(user=user, tenant=world.tenant, role=Role.VIEWER)
    return user
