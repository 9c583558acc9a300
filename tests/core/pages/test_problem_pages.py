"""Problem pages: in the design, in both languages, and without the database on errors."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils.translation import override

from core import problem_responses, problems
from tenants.models import ScopedQuerySet
from tests.pages import signed_in
from tests.world import World


def test_an_unknown_address_is_404_in_the_design(world: World) -> None:
    page = signed_in(world.user).get("/nowhere", headers={"Accept-Language": "ko"})
    assert page.status_code == 404
    assert "페이지를 찾을 수 없습니다" in page.content.decode()
    assert "css/components.css" in page.content.decode()


def kinds(base: type[problems.Problem] = problems.Problem) -> Iterator[type[problems.Problem]]:
    yield base
    for kind in base.__subclasses__():
        yield from kinds(kind)


@pytest.mark.parametrize("language", ["ko", "en"])
def test_no_refusal_says_its_heading_again_and_none_of_a_program_speaks_of_a_page(language: str) -> None:
    with override(language):
        said_twice = {
            kind.__name__
            for kind in kinds()
            if str(kind.detail).partition(".")[0]
            == str(problem_responses._title(_problem_like(kind))).rstrip(".")
        }
        missing = str(problems.NotFound.detail).lower()
    assert said_twice == set()
    assert not {"page", "페이지"} & {term for term in ("page", "페이지") if term in missing}


def _problem_like(kind: type[problems.Problem]) -> problems.Problem:
    problem = problems.Problem()
    problem.status, problem.title = kind.status, kind.title
    return problem


@pytest.mark.parametrize(
    ("path", "status", "title"),
    [("/api/v1/nowhere", 404, "Not Found"), ("/api/v1/provider/products", 401, "Unauthorized")],
)
def test_the_title_of_a_program_s_refusal_is_the_status_in_words(
    db: None, path: str, status: int, title: str
) -> None:
    body = Client().get(path).json()
    assert (body["status"], body["title"]) == (status, title)
    assert body["title"] != body["code"]


def test_a_bug_is_500_without_the_database(django_db_blocker: Any) -> None:
    with django_db_blocker.block():
        answer = problem_responses.server_error(RequestFactory().get("/somewhere"))
    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.content.decode()
    assert 'href="/somewhere"' in answer.content.decode()


def test_a_bug_in_a_view_shows_that_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScopedQuerySet, "visible_to", lambda _rows, _actor: 1 / 0)
    client = signed_in(world.user)
    client.raise_request_exception = False
    page = client.get(reverse("products:list"), headers={"Accept-Language": "ko"})
    assert page.status_code == 500
    assert "문제가 발생했습니다" in page.content.decode()
    assert "다시 시도" in page.content.decode()


def test_a_database_that_is_away_is_503_and_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_rows: object, _actor: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(ScopedQuerySet, "visible_to", fail)
    client = signed_in(world.user)
    page = client.get(reverse("products:list"))
    assert page.status_code == 503
    assert "What is live stays live." in page.content.decode()
    fragment = client.get(reverse("products:list"), headers={"HX-Request": "true"})
    assert fragment.status_code == 503
    assert "What is live stays live." in fragment.headers["HX-Trigger"]


def test_a_form_without_its_secret_is_403_with_what_to_do(world: World) -> None:
    client = Client(enforce_csrf_checks=True, headers={"Accept-Language": "en"})
    page = client.post("/sign-in", {"username": "a", "password": "b"})
    assert page.status_code == 403
    assert "Load the page again" in page.content.decode()
    assert (
        "<title>This page is too old" in page.content.decode(),
        "No permission" in page.content.decode(),
    ) == (True, False)


def test_a_request_that_makes_no_sense_is_400_in_the_design(world: World, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["example.com"]
    page = Client(headers={"Accept-Language": "en"}).get("/sign-in", headers={"Host": "evil.example"})
    assert page.status_code == 400
    assert "css/components.css" in page.content.decode()


def test_too_many_wrong_passwords_are_429_with_how_long_to_wait(world: World) -> None:
    client = Client()
    for _ in range(10):
        page = client.post(
            "/sign-in", {"username": "acme-owner", "password": "nope"}, headers={"Accept-Language": "ko"}
        )
    assert page.status_code == 429
    assert "15분 뒤에 다시 시도하세요" in page.content.decode()
