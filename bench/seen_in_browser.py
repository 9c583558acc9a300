"""Time from the confirming click until the page shows PUBLISHED, in Chromium.

`python -m bench.seen_in_browser var/demo.json [rounds]`
"""

import json
import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
from playwright.sync_api import Page, sync_playwright

from bench.click_to_published import ended

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
IS_PUBLISHED = "() => document.querySelector('#live')?.innerText.includes('PUBLISHED')"


def main() -> None:
    """Publish drafts one after the other through the page, and print milliseconds."""
    facts = json.loads(Path(sys.argv[1]).read_text())
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 30
    headers = {"Authorization": f"Bearer {facts['provider']['api_token']}"}
    with (
        sync_playwright() as playwright,
        httpx2.Client(base_url=facts["web_url"], headers=headers, timeout=30, trust_env=False) as api,
    ):
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page()
        sign_in(page, facts)
        durations_ms = [run_round(page, api, facts) for _ in range(rounds)]
        browser.close()
    median, p95 = statistics.median(durations_ms), statistics.quantiles(durations_ms, n=20)[18]
    print(f"{rounds} rounds: median {median:.0f} ms, p95 {p95:.0f} ms")  # noqa: T201


def sign_in(page: Page, facts: dict[str, Any]) -> None:
    """Sign in as the provider."""
    page.goto(f"{facts['web_url']}/sign-in")
    page.fill("input[name=username]", facts["provider"]["username"])
    page.fill("input[name=password]", facts["provider"]["password"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/provider/products/**")


def run_round(page: Page, api: httpx2.Client, facts: dict[str, Any]) -> float:
    """One publish of a fresh draft through the page, then off the gateway by the API; milliseconds."""
    cluster = facts["clusters"][0]
    place = {"cluster_id": cluster["id"], "gateway_id": cluster["gateways"][0]["id"]}
    draft = api.post(f"/api/v1/provider/products/{facts['product_id']}/publishes", json=place).json()
    page.goto(f"{facts['web_url']}/provider/products/{facts['product_id']}/publishes/{draft['id']}")
    page.locator("#open-execute").click()
    started = time.perf_counter()
    page.locator("dialog[open] button.primary").click()
    page.wait_for_function(IS_PUBLISHED, polling="raf")
    shown_after_ms = (time.perf_counter() - started) * 1000
    path = f"/api/v1/provider/product-publishes/{draft['id']}"
    ended(api, api.post(f"{path}/withdraw", json={"reason": "bench"}))
    ended(api, api.delete(path))
    return shown_after_ms


if __name__ == "__main__":
    main()
