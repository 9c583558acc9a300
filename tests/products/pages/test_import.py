"""The import page: nothing happens before the plan is shown, and faults are named with places."""

import json
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from products.catalogue import api_services
from products.forms import checked_service
from products.models import ApiService
from tests.core.pages.test_languages import HANGUL
from tests.documents import LEDGER, LEDGER_AGAIN
from tests.world import World

IMPORT = "/provider/api-services/import"


def hidden(page: str, name: str) -> str:
    match = re.search(rf'name="{name}" value="([^"]*)"', page)
    return match[1] if match else ""


def test_a_document_is_shown_first_and_taken_when_asked_again(world: World, browser: Client) -> None:
    shown = browser.post(IMPORT, {"document": LEDGER})
    page = shown.content.decode()
    assert shown.status_code == 200
    assert "Create Ledger?" in page
    assert "2 routes. Nothing has been done yet." in page
    assert escape(LEDGER) in page
    assert "/accounts/{id}/postings" in page
    assert "/relative was left out" in page
    assert not ApiService.objects.filter(name="Ledger").exists()
    answer = browser.post(
        IMPORT, {"document": LEDGER, "upstream_url": "https://kr.ledger.example.com", "apply": "1"}
    )
    service = ApiService.objects.get(name="Ledger")
    assert answer.headers["Location"] == reverse("services:detail", args=[service.pk])
    assert (service.upstream_host, service.routes.count()) == ("kr.ledger.example.com", 2)
    assert (
        "The API service was created from the document"
        in browser.get(answer.headers["Location"]).content.decode()
    )


def test_a_file_is_taken_like_pasted_text(world: World, browser: Client) -> None:
    page = browser.post(IMPORT, {"file": SimpleUploadedFile("ledger.yaml", LEDGER.encode())}).content.decode()
    assert "Create Ledger?" in page
    assert escape(LEDGER) in page
    refused = browser.post(IMPORT, {"file": SimpleUploadedFile("ledger.yaml", b"\xff\xfe\x00")})
    assert refused.status_code == 422
    assert "The file is not UTF-8 text" in refused.content.decode()
    large = browser.post(IMPORT, {"file": SimpleUploadedFile("large.yaml", b"#" * 1_000_001)})
    assert "larger than 1 MB" in large.content.decode()


def test_an_upstream_that_is_not_right_is_said_at_its_field_and_the_document_is_not_blamed(
    world: World, browser: Client
) -> None:
    refused = browser.post(IMPORT, {"document": LEDGER, "upstream_url": "http://ledger:70000"})
    page = refused.content.decode()
    assert (refused.status_code, page.count("A port is a number from 1 to 65535.")) == (422, 1)
    assert 'id="id_upstream_url_error"' in page
    assert 'value="http://ledger:70000"' in page
    assert "The document was not taken" not in page
    assert escape(LEDGER) in page


def test_importing_again_shows_the_changes_and_changes_in_place(world: World, browser: Client) -> None:
    browser.post(IMPORT, {"document": LEDGER, "apply": "1"})
    service = ApiService.objects.get(name="Ledger")
    page = browser.post(IMPORT, {"document": LEDGER_AGAIN}).content.decode()
    assert "Change Ledger?" in page
    assert "1 added, 1 changed, 1 removed" in page
    assert '<del class="method">DELETE</del>' in page
    assert re.search(r"<del>1\.4</del>\s+<ins>1\.5</ins>", page)
    revision = hidden(page, "revision")
    browser.post(IMPORT, {"document": LEDGER_AGAIN, "revision": revision, "apply": "1"})
    assert list(service.routes.values_list("path", flat=True)) == ["/accounts", "/reports"]
    nothing = browser.post(IMPORT, {"document": LEDGER_AGAIN, "upstream_url": ""}).content.decode()
    assert "The service is as the document says already" in nothing


def test_a_service_that_changed_meanwhile_is_shown_anew(world: World, browser: Client) -> None:
    browser.post(IMPORT, {"document": LEDGER, "apply": "1"})
    service = ApiService.objects.get(name="Ledger")
    revision = hidden(browser.post(IMPORT, {"document": LEDGER_AGAIN}).content.decode(), "revision")
    api_services.update_service(
        world.actor, service.pk, fields=checked_service(world.actor, {"version": "9"}, service=service)
    )
    again = browser.post(IMPORT, {"document": LEDGER_AGAIN, "revision": revision, "apply": "1"})
    assert again.status_code == 409
    assert "Somebody else changed this" in again.content.decode()
    assert re.search(r"<del>9</del>\s+<ins>1.5</ins>", again.content.decode())
    assert ApiService.objects.get(pk=service.pk).version == "9"


def test_odd_paths_are_listed_with_the_reason_and_the_rest_can_be_imported(
    world: World, browser: Client
) -> None:
    wrong = LEDGER.replace("/health:", "/he alth:").replace("/accounts/{id}/postings:", "accounts:")
    answer = browser.post(IMPORT, {"document": wrong})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "paths → accounts (line 19): a path starts with / and has at most 500 characters." in page
    assert escape(wrong) in page
    assert (
        escape("paths → /he alth (line 21): A path has letters, digits and plain URL characters only.")
        in page
    )
    assert not ApiService.objects.filter(name="Ledger").exists()


@pytest.mark.parametrize("path", ["/a\ud800", "/a/{\ud800}", "\ud800", "/a/{\x00}", "x-\ud800"])
def test_half_a_character_in_a_document_is_left_out_and_no_crash(
    world: World, browser: Client, path: str
) -> None:
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Half \ud800", "version": "\ud800"},
        "servers": [{"url": "http://a\ud800"}, {"url": "http://a"}],
    }
    variants: list[dict[str, object]] = [{"get": {}}, {"get": {}, "\ud800": {}}]
    for operations in variants:
        answer = browser.post(
            IMPORT, {"document": json.dumps(document | {"paths": {"/fine": operations, path: operations}})}
        )
        assert answer.status_code == 200
        assert ("Left out" in answer.content.decode()) or path.startswith("x-")


def test_every_complaint_stands_on_the_form_with_the_document(world: World, browser: Client) -> None:
    wrong = LEDGER.replace("title: Ledger", "title: L").replace("  /", "  ")
    answer = browser.post(IMPORT, {"document": wrong})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "info → title (line 3): a title needs at least two characters." in page
    assert "paths → accounts (line 13): a path starts with / and has at most 500 characters." in page
    assert escape(wrong) in page


@pytest.mark.parametrize("path", ["/:", "/{tenant}/reports:"])
def test_opening_every_path_has_to_be_confirmed(world: World, browser: Client, path: str) -> None:
    document = LEDGER.replace("/health:", path)
    page = browser.post(IMPORT, {"document": document}).content.decode()
    assert "Every path of the upstream becomes open" in page
    refused = browser.post(IMPORT, {"document": document, "target": "new", "name": "Ledger", "apply": "1"})
    assert refused.status_code == 422
    assert "Confirm that every path of the upstream becomes open" in refused.content.decode()
    assert not ApiService.objects.filter(name="Ledger").exists()
    browser.post(
        IMPORT, {"document": document, "target": "new", "name": "Ledger", "everything": "1", "apply": "1"}
    )
    assert ApiService.objects.filter(name="Ledger").exists()
    assert (
        "Every path of the upstream becomes open"
        not in browser.post(IMPORT, {"document": LEDGER}).content.decode()
    )


def test_a_known_title_offers_to_change_the_service_or_to_create_a_new_one(
    world: World, browser: Client
) -> None:
    browser.post(IMPORT, {"document": LEDGER, "apply": "1"})
    ledger = ApiService.objects.get(name="Ledger")
    change = browser.post(IMPORT, {"document": LEDGER_AGAIN}).content.decode()
    assert "Create a new one instead" in change
    assert hidden(change, "target") == str(ledger.pk)
    new = browser.post(
        IMPORT,
        {
            "document": LEDGER_AGAIN,
            "target": str(ledger.pk),
            "switch": "new",
            "upstream_url": "http://in-use",
        },
    ).content.decode()
    assert "Create Ledger 1.5?" in new
    assert "Change Ledger instead" in new
    assert "http://in-use" not in new
    refused = browser.post(
        IMPORT, {"document": LEDGER_AGAIN, "target": "new", "name": "Ledger", "apply": "1"}
    )
    assert (refused.status_code, 'id="id_name_error"' in refused.content.decode()) == (422, True)
    browser.post(IMPORT, {"document": LEDGER_AGAIN, "target": "new", "name": "Ledger 2026", "apply": "1"})
    assert ApiService.objects.get(name="Ledger 2026").version == "1.5"
    ledger.refresh_from_db()
    assert ledger.version == "1.4"


def test_the_target_is_what_was_shown_whatever_was_renamed_meanwhile(world: World, browser: Client) -> None:
    browser.post(IMPORT, {"document": LEDGER, "apply": "1"})
    ledger = ApiService.objects.get(name="Ledger")
    page = browser.post(IMPORT, {"document": LEDGER_AGAIN}).content.decode()
    ApiService.objects.filter(pk=ledger.pk).update(name="Renamed")
    browser.post(
        IMPORT,
        {
            "document": LEDGER_AGAIN,
            "target": hidden(page, "target"),
            "revision": hidden(page, "revision"),
            "apply": "1",
        },
    )
    assert (
        ApiService.objects.get(name="Renamed").version,
        ApiService.objects.filter(name="Ledger").exists(),
    ) == ("1.5", False)
    for wrong in ("nonsense", "00000000-0000-0000-0000-000000000000"):
        assert browser.post(IMPORT, {"document": LEDGER, "target": wrong}).status_code == 404


def test_going_back_keeps_the_document(world: World, browser: Client) -> None:
    page = browser.post(
        IMPORT, {"document": LEDGER, "upstream_url": "http://mine:1", "again": "1"}
    ).content.decode()
    assert escape(LEDGER) in page
    assert 'value="http://mine:1"' in page


def test_markup_in_a_document_stays_text(world: World, browser: Client) -> None:
    page = browser.post(
        IMPORT, {"document": LEDGER.replace("title: Ledger", "title: <script>alert(1)</script>")}
    ).content.decode()
    assert "<script>alert(1)</script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_plan_is_korean_for_koreans(world: World, browser: Client) -> None:
    page = browser.post(IMPORT, {"document": LEDGER}, headers={"Accept-Language": "ko"}).content.decode()
    shown = page.split("<main", 1)[1]
    assert "servers (6번째 줄) → 3" in shown
    assert "라우트 2개가 만들어집니다." in shown
    assert not HANGUL.search(browser.post(IMPORT, {"document": LEDGER}).content.decode().split("<main", 1)[1])
