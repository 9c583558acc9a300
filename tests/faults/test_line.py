"""The main job on real parts: draft, live, withdrawn, live again, withdrawn, gone."""

from collections.abc import Iterator

import httpx2
import psycopg
import pytest

from tests.faults.publish import Publish
from tests.faults.stack import Stack, running_demo

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The demo itself."""
    with running_demo(tmp_path_factory.mktemp("line") / "demo") as running:
        yield running


def test_a_publish_is_live_when_it_says_so_and_gone_when_it_says_so(stack: Stack, publish: Publish) -> None:
    assert stack.at_gateway(publish.host, "/billing").status_code == 404

    publish.run("publish", note="Production release v2.0")
    assert publish.status == "PUBLISHED"
    answer = stack.at_gateway(publish.host, "/billing/7?by=month")
    assert answer.status_code == 200
    assert (answer.json()["service"], answer.json()["path"]) == ("billing", "/billing/7?by=month")
    assert stack.at_gateway(publish.host, "/refunds", method="POST").json()["service"] == "refund"
    assert stack.at_gateway(publish.host, "/refunds").status_code == 404  # POST alone is published there
    assert stack.at_gateway(publish.host, "/elsewhere").status_code == 404

    publish.run("withdraw", reason="a fault upstream")
    assert publish.status == "WITHDRAWN"
    for path in ("/billing", "/billing/7", "/", "/any/other?x=1"):
        for method in METHODS:
            assert stack.at_gateway(publish.host, path, method=method).status_code == 410, (method, path)
    assert (
        stack.at_gateway(publish.host, "/billing")
        .headers["Content-Type"]
        .startswith("application/problem+json")
    )

    publish.run("publish")
    assert stack.at_gateway(publish.host, "/billing").status_code == 200
    publish.run("withdraw", reason="for good")
    assert publish.transitions() == ["DRAFT", "PUBLISHED", "WITHDRAWN", "PUBLISHED", "WITHDRAWN"]
    publish.run("delete")
    assert stack.at_gateway(publish.host, "/billing").status_code == 404
    assert publish.api.get(publish.path).status_code == 404


def test_the_other_tenant_can_neither_see_nor_stop_it(stack: Stack, publish: Publish) -> None:
    publish.run("publish")
    with stack.api(account="other_provider") as second_api:
        assert second_api.get(publish.path).status_code == 404
        assert second_api.post(f"{publish.path}/withdraw", json={"reason": "mine now"}).status_code == 404
    with stack.api(account="viewer") as viewer:
        assert viewer.get(publish.path).json()["status"] == "PUBLISHED"
        assert viewer.post(f"{publish.path}/withdraw", json={"reason": "x"}).status_code == 403
    assert stack.at_gateway(publish.host, "/billing").status_code == 200


@pytest.mark.parametrize("part", ["postgres", "broker", "web", "admin"])
def test_a_provider_cannot_route_to_our_own_ports(stack: Stack, api: httpx2.Client, part: str) -> None:
    facts = stack.facts
    urls = {
        "postgres": facts["database_url"],
        "broker": facts["redis_url"],
        "web": facts["web_url"],
        "admin": stack.cluster["agents"][0]["admin_url"],
    }
    usual_port = point_billing_at(stack, httpx2.URL(urls[part]).port or 80)
    try:
        draft = stack.draft(api)
        refused = draft.ask("publish")
        assert (refused.status_code, refused.json()["code"]) == (409, "upstream_refused")
        assert "Billing Service" in refused.json()["detail"]
        assert draft.status == "DRAFT"
        assert draft.ask("delete").status_code == 204
    finally:
        point_billing_at(stack, usual_port)


def point_billing_at(stack: Stack, port: int) -> int:
    """Give the service another port, past every form; returns the one it had."""
    with psycopg.connect(stack.facts["database_url"]) as connection:
        row = connection.execute(
            "SELECT upstream_port FROM products_apiservice WHERE name = 'Billing Service'"
        ).fetchone()
        connection.execute(
            "UPDATE products_apiservice SET upstream_port = %s WHERE name = 'Billing Service'", [port]
        )
    assert row
    return int(row[0])
