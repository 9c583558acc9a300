"""The API's own page works in a browser that reaches only us, under a policy without foreign scripts."""

from playwright.sync_api import expect

from tests.e2e.browser import broken_rules
from tests.e2e.conftest import Open


def test_the_api_can_be_read_offline_and_its_policy_is_its_own(open_as: Open, transactional_db: None) -> None:
    page = open_as()
    answer = page.goto("/api/v1/docs", wait_until="commit")
    assert answer
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy + ";"
    assert "style-src 'self' 'unsafe-inline'" in policy
    expect(page.get_by_role("heading", name="imp-gateway")).to_be_visible()
    page.get_by_text("Make a draft").first.click()
    expect(page.get_by_text("cluster_id and gateway_id are required").first).to_be_visible()
    elsewhere = page.goto("/sign-in", wait_until="commit")
    assert elsewhere
    assert "unsafe-inline" not in elsewhere.headers["content-security-policy"]


def test_nothing_but_what_swagger_ui_itself_draws_hinders_anybody(
    open_as: Open, transactional_db: None
) -> None:
    page = open_as()
    page.goto("/api/v1/docs", wait_until="commit")
    expect(page.get_by_text("Make a draft").first).to_be_visible()
    assert broken_rules(page) <= {"color-contrast", "heading-order", "nested-interactive"}
