"""A real browser for tests: starts the installed Chromium, opens pages, and lists what a page must not do."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe, AxeResults
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
NAMES = ("chromium", "chromium-browser", "google-chrome")
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
Theme = Literal["light", "dark"]
# Nothing waits longer than it must; how slow a machine may be is not what these tests are about.
PATIENCE_MS = 60_000
# Focuses all that Tab reaches, and names each element without a focus ring of its own or of its label.
RINGLESS = """() => {
  const isRinged = (element) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
  };
  const selector = "a[href], button, input, select, textarea, summary, [tabindex='0']";
  const reachable = [...document.querySelectorAll(selector)].filter((element) => element.tabIndex >= 0);
  const focused = document.activeElement, ringless = new Set();
  for (const element of reachable) {
    element.focus({ preventScroll: true });
    const parts = [element, element.closest("label")].filter(Boolean);
    if (document.activeElement === element && !parts.some(isRinged)) {
      ringless.add(`${element.localName}.${element.className}`);
    }
  }
  focused.focus({ preventScroll: true });
  return [...ringless].sort().map((name) => `no focus ring: ${name}`).join("\\n");
}"""
EXPECTED_4XX = "Failed to load resource: the server responded with a status of 4"


def launch(playwright: Any) -> Browser:
    """The system's Chromium, or the one Playwright brought."""
    path = next((executable for name in NAMES if (executable := shutil.which(name))), None)
    try:
        return playwright.chromium.launch(executable_path=path, args=FLAGS)  # type: ignore[no-any-return]
    except Exception as problem:  # noqa: BLE001 - whatever it is, the tests cannot run
        pytest.fail(
            f"No Chromium could be started ({path or 'none is installed'}): {problem}. "
            "`make browser` brings one.",
            pytrace=False,
        )


@contextmanager
def started() -> Iterator[Browser]:
    """A browser until the block ends."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@dataclass
class Guard:
    """The problems of a page: console errors (CSP violations too), script errors, requests to other hosts."""

    home: str
    problems: list[str] = field(default_factory=list)
    may_refuse: bool = False
    may_fail: bool = False

    def watch(self, context: BrowserContext) -> None:
        """Listen from now on."""
        context.on("console", self._console)
        context.on("weberror", lambda error: self.problems.append(f"script error: {error.error}"))
        context.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"} or (
            self.may_refuse and message.text.startswith(EXPECTED_4XX)
        ):
            return
        if self.may_fail and message.text.startswith(("Failed to load resource: net::", "htmx:")):
            return
        self.problems.append(f"{message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.home, "data:")):
            self.problems.append(f"asked somebody else: {request.url}")


def complaints(page: Page) -> str:
    """Axe's complaints and hidden focus rings, in light on a desktop and dark on a phone; empty for none."""
    page.evaluate(Axe().axe_script)
    reports = []
    looks: tuple[tuple[Theme, str], ...] = (("light", "desktop"), ("dark", "phone"))
    for theme, size in looks:
        show_at(page, size=size, theme=theme)
        violations = page.evaluate(
            "axe.run({resultTypes: ['violations']}).then(({violations}) => ({violations}))"
        )
        if violations["violations"]:
            reports.append(f"{theme} {size}\n{AxeResults(violations).generate_report()}")
        page.keyboard.press("Tab")  # from here on a ring is due
        if ringless := page.evaluate(RINGLESS):
            reports.append(f"{theme} {size}\n{ringless}")
    return "\n".join(reports)


def broken_rules(page: Page) -> set[str]:
    """The ids of axe's rules that the page breaks as it is shown."""
    page.evaluate(Axe().axe_script)
    return set(page.evaluate("axe.run().then(({violations}) => violations.map(({id}) => id))"))


def show_at(page: Page, *, size: str, theme: Theme) -> None:
    """As on that screen, in light or dark."""
    width, height = SIZES[size]
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": height})


def use_session(context: BrowserContext, key: str, *, home: str) -> None:
    """Use that session from now on; without a key, none."""
    context.clear_cookies()
    if key:
        context.add_cookies([{"name": "sessionid", "value": key, "url": home}])


def open_page(
    browser: Browser,
    *,
    home: str,
    size: str = "desktop",
    language: str = "en",
    theme: Theme = "light",
    session: str = "",
    script: bool = True,
) -> Page:
    """A page in a context of its own. `session` is a session's key."""
    width, height = SIZES[size]
    context = browser.new_context(
        base_url=home,
        viewport={"width": width, "height": height},
        color_scheme=theme,
        locale=language,
        java_script_enabled=script,
        reduced_motion="reduce",
        timezone_id="Asia/Seoul",
        has_touch=size == "phone",
    )
    context.set_default_timeout(PATIENCE_MS)
    use_session(context, session, home=home)
    return context.new_page()
