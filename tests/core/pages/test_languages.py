"""Korean and English are both complete: catalogues, every page, the switch."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests import messages
from tests.e2e.scenes import SCENES, Scene
from tests.pages import signed_in
from tests.world import World

HANGUL = re.compile(r"[가-힣]")
LATIN_WORD = re.compile(r"[A-Za-z][A-Za-z'-]+")
NAMES = """
imp-gateway Gateway API Key OAuth Services Service DRAFT PUBLISHED WITHDRAWN DEV STAGING PROD
dev stage prod auth none Development Staging Production Public Private None Hostname Product Plan
Consumer Issuer URL Audience Scopes HTTP HTTPS GET POST PUT DELETE PATCH Envoy Gone ms curl English imp
billing HEAD OPTIONS OpenAPI YAML JSON MB openapi servers paths Kong apikey
"""


class Texts(HTMLParser):
    """The texts of a page without marked languages, codes and the tenant's own names."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._skipping: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if (
            self._skipping
            or tag in {"code", "script", "style", "textarea"}
            or ("lang" in attributes and tag != "html")
            or "host" in (attributes.get("class") or "").split()
        ):
            if tag not in {"input", "link", "meta", "br", "path", "circle", "rect", "line"}:
                self._skipping.append(tag)
            return
        self.words += [
            value
            for name in ("title", "aria-label", "placeholder", "data-announce", "data-outcome")
            if (value := attributes.get(name))
        ]

    def handle_endtag(self, tag: str) -> None:
        if self._skipping and self._skipping[-1] == tag:
            self._skipping.pop()

    def handle_data(self, data: str) -> None:
        if data.strip() and not self._skipping:
            self.words.append(data.strip())


def texts_of(client: Client, path: str, language: str) -> list[str]:
    parser = Texts()
    parser.feed(client.get(path, headers={"Accept-Language": language}).content.decode())
    return parser.words


def of_the_tenant(world: World) -> set[str]:
    records: tuple[Any, ...] = (
        world.product,
        world.cluster,
        world.gateway,
        world.tenant,
        *world.product.services.all(),
        *(voice.agent for voice in world.agents),
    )
    names = [record.name for record in records] + [
        world.user.username,
        world.cluster.description,
        world.cluster.region,
        "kr-far",
        "kr-busan",
    ]
    names += [
        "Billing, invoices and refunds.",
        "payment-api",
        "Production release v2.0",
        "결제 오류로 잠시 내립니다",
        "Weather API",
        "Ledger API",
        "Legacy Service",
        "kong-gateway",
    ]
    names += ["Globex", "Fresh", "jisoo", "minho", "viewer-1", "CI", "Nightly", "Backup"]
    return {name for name in names if name}


def without(texts: list[str], names: set[str]) -> str:
    text = re.sub(r"\S+\.localhost\S*|https?://\S+", " ", "\n".join(texts))
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, " ")
    return re.sub(r"\bv\d[\w.]*", " ", text)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_no_page_has_leftovers_of_the_other_language(world: World, scene: Scene) -> None:
    client = Client() if scene.is_public else signed_in(world.user)
    path = scene.prepare(world, client)
    names = of_the_tenant(world)
    korean, english = texts_of(client, path, "ko"), texts_of(client, path, "en")
    allowed = set(NAMES.split())
    assert [latin for latin in LATIN_WORD.findall(without(korean, names)) if latin not in allowed] == []
    assert [line for line in without(english, names | {"한국어"}).splitlines() if HANGUL.search(line)] == []
    assert HANGUL.search(" ".join(korean))


def test_every_marked_text_has_a_korean_translation() -> None:
    catalogue = messages.in_catalogue("ko")
    assert {text for text in messages.in_code() if not catalogue.get(text, ("", False))[0]} == set()
    assert [text for text, (_, is_fuzzy) in catalogue.items() if is_fuzzy] == []


def test_the_catalogue_has_no_text_that_is_gone() -> None:
    assert set(messages.in_catalogue("ko")) - messages.in_code() == set()


def test_placeholders_are_the_same_in_both_languages() -> None:
    def placeholders(text: str) -> set[str]:
        return set(re.findall(r"%\(\w+\)[sd]|%s|\{\w+\}|</?\w+[^>]*>", text))

    assert [
        text
        for text, (korean, _) in messages.in_catalogue("ko").items()
        if placeholders(text) != placeholders(korean)
    ] == []


def test_the_language_switch_keeps_the_page_and_its_query(world: World) -> None:
    browser = signed_in(world.user)
    path = f"{reverse('products:list')}?page=1"
    assert '<html lang="en"' in browser.get(path).content.decode()
    answer = browser.post(reverse("set_language"), {"language": "ko", "next": path})
    assert answer.headers["Location"] == path
    assert '<html lang="ko"' in browser.get(path).content.decode()


def test_korean_comes_first(world: World) -> None:
    page = Client().get("/sign-in").content.decode()
    assert '<html lang="ko"' in page
    assert "로그인" in page


def test_the_theme_switch_keeps_the_page_and_refuses_other_sites(world: World) -> None:
    browser = signed_in(world.user)
    path = reverse("products:list")
    assert browser.post(reverse("set-theme"), {"theme": "dark", "next": path}).headers["Location"] == path
    assert 'data-theme="dark"' in browser.get(path).content.decode()
    assert (
        browser.post(reverse("set-theme"), {"theme": "neon", "next": "https://elsewhere.example/"}).headers[
            "Location"
        ]
        == "/"
    )
    assert 'data-theme="dark"' in browser.get(path).content.decode()
