"""How long from the confirming click until PUBLISHED stands on the page, in Chromium: `python -m bench.seen_in_browser var/demo.json [rounds]`."""

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
    told = json.loads(Path(sys.argv[1]).read_text())
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 30
    headers = {"Authorization": f"Bearer {told['provider']['api_token']}"}
    with (
        sync_playwright() as playwright,
        httpx2.Client(base_url=told["web_url"], headers=headers, timeout=30, trust_env=False) as api,
    ):
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page()
        sign_in(page, told)
        seen = [one_round(page, api, told) for _ in range(rounds)]
        browser.close()
    print(  # noqa: T201
        f"{rounds} rounds: median {statistics.median(seen):.0f} ms, p95 {statistics.quantiles(seen, n=20)[18]:.0f} ms"
    )


def sign_in(page: Page, told: dict[str, Any]) -> None:
    """As the provider."""
    page.goto(f"{told['web_url']}/sign-in")
    page.fill("input[name=username]", told["provider"]["username"])
    page.fill("input[name=password]", told["provider"]["password"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/provider/products/**")


def one_round(page: Page, api: httpx2.Client, told: dict[str, Any]) -> float:
    """One publish of a fresh draft through the page, then off the gateway by the API; milliseconds."""
    cluster = told["clusters"][0]
    where = {"cluster_id": cluster["id"], "gateway_id": cluster["gateways"][0]["id"]}
    draft = api.post(f"/api/v1/provider/products/{told['product_id']}/publishes", json=where).json()
    page.goto(f"{told['web_url']}/provider/products/{told['product_id']}/publishes/{draft['id']}")
    page.locator("#open-execute").click()
    started = time.perf_counter()
    page.locator("dialog[open] button.primary").click()
    page.wait_for_function(IS_PUBLISHED, polling="raf")
    seen = (time.perf_counter() - started) * 1000
    path = f"/api/v1/provider/product-publishes/{draft['id']}"
    ended(api, api.post(f"{path}/withdraw", json={"reason": "bench"}))
    ended(api, api.delete(path))
    return seen


if __name__ == "__main__":
    main()
