"""Keys in a real browser: a key's life by keyboard, what viewers see, and the settings of both modes."""

import re
import threading

from django.test import Client
from playwright.sync_api import Page, expect

from publishes.models import Credential, ProductPublish
from tests.e2e.browser import Guard
from tests.e2e.conftest import Open
from tests.e2e.key_scenes import closed, detail
from tests.e2e.test_journey import tab_to
from tests.issuing import IssuerSite
from tests.publishes.pages.run import Run
from tests.world import World

KEY = re.compile(r"imp_[\w-]{43}")


def shown_key(page: Page) -> str:
    """The key that stands on the page, and where the focus waits for it."""
    expect(page.locator("#new-key")).to_have_text(KEY)
    expect(page.locator("#copy-new-key")).to_be_focused()
    expect(page.locator("#copy-new-key")).to_have_accessible_description(
        "This is the only time that you see this key. Copy it now."
    )
    return str(page.locator("#new-key").inner_text())


def states(page: Page) -> list[str]:
    return [text.strip() for text in page.locator("#keys .rows .badge").all_inner_texts()]


def is_narrow_enough(page: Page) -> bool:
    page.set_viewport_size({"width": 390, "height": 844})
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_a_key_from_made_to_off_by_keyboard_alone(
    stage: World, client: Client, open_as: Open, agents_at_work: threading.Event
) -> None:
    publish = closed(stage)
    page = open_as(client)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(detail(publish))
    expect(page.locator("#keys")).to_contain_text(
        "There is no key that is let in now, so every caller gets 401."
    )
    tab_to(page, "#open-make-key")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("checkbox")).to_have_count(0)
    tab_to(page, "#make-key button.primary")
    page.keyboard.press("Enter")

    first = shown_key(page)
    page.keyboard.press("Enter")
    expect(page.locator("#copy-new-key")).to_have_attribute("data-done", "")
    assert page.evaluate("navigator.clipboard.readText()") == first
    assert states(page) == ["Active"]

    page.keyboard.press("Shift+Tab")
    expect(page.locator("#open-make-key")).to_be_focused()
    page.keyboard.press("Space")
    expect(page.get_by_role("dialog").get_by_role("checkbox")).to_be_checked()
    tab_to(page, "#make-key button.primary")
    page.keyboard.press("Enter")
    expect(page.locator("#new-key")).not_to_have_text(first)
    second = shown_key(page)
    assert states(page) == ["Active", "Ending"]
    assert first not in page.content()
    assert is_narrow_enough(page)

    current, ending = Credential.objects.order_by("-created_at")
    tab_to(page, f"#open-off-{ending.fingerprint}")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text(
        f"Callers with the key {ending.fingerprint[:8]}… get 401 as soon as every agent has proved it"
    )
    tab_to(page, f"#off-{ending.fingerprint} button.danger")
    page.keyboard.press("Enter")
    expect(page.locator("#keys .rows")).to_contain_text("Switched off")
    expect(page.locator("#keys-title")).to_be_focused()
    expect(page.locator("#announcements")).to_have_text("PUBLISHED. The changed keys are in force")
    assert states(page) == ["Active", "Switched off"]
    expect(page.locator("#history")).to_contain_text("Key switched off")

    page.reload()
    assert states(page) == ["Active", "Switched off"]
    expect(page.locator("#keys")).to_contain_text(current.fingerprint[:8])
    assert not KEY.search(page.content())
    assert second not in page.url


def test_viewers_see_the_keys_and_nothing_to_press(stage: World, client: Client, open_as: Open) -> None:
    publish = closed(stage)
    client.post(f"{detail(publish)}/test-key")
    stage.user.memberships.update(role="viewer")
    page = open_as(client, size="phone", theme="dark")
    page.goto(detail(publish))
    assert states(page) == ["Active"]
    expect(page.locator("#keys")).to_contain_text("X-Api-Key")
    expect(page.locator("#keys").locator("a, button, form, dialog")).to_have_count(0)
    assert is_narrow_enough(page)


def test_what_is_wrong_with_a_header_or_an_issuer_is_said_beside_it(
    stage: World, client: Client, open_as: Open, guard: Guard, issuer_site: IssuerSite
) -> None:
    guard.may_refuse = True
    run = Run(stage, client)
    run.choose(upto="settings")
    page = open_as(client)
    page.goto(run.url("settings"))
    header, url = page.get_by_label("Header of the key"), page.get_by_label("Issuer URL")
    expect(header).to_be_hidden()
    page.get_by_role("radio", name=re.compile("^API Key")).check()
    expect(url).to_be_hidden()
    header.fill("cookie")
    header.press("Enter")
    expect(header).to_have_accessible_description(
        re.compile("HTTP itself uses this header, so a key in it does not arrive")
    )

    page.get_by_role("radio", name=re.compile("^OAuth 2.0")).check()
    expect(header).to_be_hidden()
    page.get_by_label("Audience").fill("payment-api")
    page.get_by_label("Scopes").fill("read write")
    for wrong, text in (
        ("", "Say which issuer"),
        ("https://auth.example.com?x=1", "without a question mark"),
        (f"{issuer_site.url}/", "calls itself"),
    ):
        url.fill(wrong)
        url.press("Enter")
        expect(url).to_have_accessible_description(re.compile(text))
        expect(url).to_have_attribute("aria-invalid", "true")
        expect(page.get_by_label("Scopes")).to_have_value("read write")
    assert is_narrow_enough(page)

    url.fill(issuer_site.url)
    url.press("Enter")
    for text in (issuer_site.url, "payment-api", "read write"):
        expect(page.locator("#choices")).to_contain_text(text)
    expect(page.locator("#checks")).to_contain_text("3 of 3 are ready.")
    page.get_by_role("button", name="Create the publish").click()
    expect(page.locator("#issuer")).to_contain_text("2 public keys")
    publish = ProductPublish.objects.get()
    assert (publish.status, publish.auth_mode, publish.auth_config) == ("DRAFT", "oauth2", issuer_site.config)
