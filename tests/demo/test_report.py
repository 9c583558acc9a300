"""demo.json has exactly the shape that outside checks rely on; the banner names first what a person needs."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.folder import Folder
from demo.plan import Plan
from demo.report import Report
from demo.seed import Login, Seeded, SeededAgent, SeededCluster, SeededGateway

PIDS = {
    "web": 1,
    "worker": 2,
    "beat": 3,
    "postgres": 4,
    "broker": 5,
    "upstreams": 6,
    "agent-dev-1": 7,
    "envoy-dev-1": 8,
}


@pytest.fixture
def report(tmp_path: Path) -> Iterator[Report]:
    folder = Folder(tmp_path)
    plan = Plan(folder, port=8000)
    people = {
        name: Login(username=name, password=f"{name}-pw", api_token=f"{name}-token")
        for name in ("provider", "other_provider", "viewer")
    }
    gateways = (SeededGateway(id="g1", name="dev-gateway", gateway_class="envoy"),)
    cluster = SeededCluster(
        id="c1", name="kr-dev", gateways=gateways, agents=(SeededAgent(id="a1", name="dev-1"),)
    )
    seeded = Seeded(
        operator=Login(username="operator", password="operator-pw"),
        product_id="p1",
        clusters=(cluster,),
        **people,
    )
    yield Report(plan=plan, seeded=seeded, sites=(plan.site(id="a1", name="dev-1", cluster="kr-dev"),))
    os.close(folder.lock)


def test_demo_json_says_where_everything_is_and_who_may_sign_in(report: Report, tmp_path: Path) -> None:
    report.write(tmp_path / "demo.json", pids=PIDS)
    ports = json.loads((tmp_path / "ports.json").read_text())
    assert json.loads((tmp_path / "demo.json").read_text()) == {
        "web_url": "http://127.0.0.1:8000",
        "admin_url": "http://127.0.0.1:8000/admin/",
        "operator": {"username": "operator", "password": "operator-pw"},
        "provider": {"username": "provider", "password": "provider-pw", "api_token": "provider-token"},
        "other_provider": {
            "username": "other_provider",
            "password": "other_provider-pw",
            "api_token": "other_provider-token",
        },
        "viewer": {"username": "viewer", "password": "viewer-pw", "api_token": "viewer-token"},
        "product_id": "p1",
        "clusters": [
            {
                "id": "c1",
                "name": "kr-dev",
                "gateways": [{"id": "g1", "name": "dev-gateway", "class": "envoy"}],
                "agents": [
                    {
                        "id": "a1",
                        "name": "dev-1",
                        "pid": 7,
                        "gateway_pid": 8,
                        "proxy_url": f"http://127.0.0.1:{ports['dev-1-proxy']}",
                        "admin_url": f"http://127.0.0.1:{ports['dev-1-admin']}",
                    }
                ],
            }
        ],
        "pids": {"web": 1, "worker": 2, "beat": 3, "postgres": 4, "broker": 5},
        "issuer_url": report.plan.issuer_url,
        "log_dir": str(tmp_path / "log"),
        "database_url": report.plan.postgres.url,
        "redis_url": report.plan.broker.url,
    }
    assert (tmp_path / "demo.json").stat().st_mode & 0o777 == 0o600


def test_the_banner_names_the_address_the_sign_ins_and_a_first_thing_to_try(report: Report) -> None:
    banner = report.banner()
    for text in (
        "http://127.0.0.1:8000/provider/products/p1",
        "provider / provider-pw",
        "operator / operator-pw",
        "make demo-reset",
    ):
        assert text in banner
    assert (
        "curl -H 'Authorization: Bearer provider-token' http://127.0.0.1:8000/api/v1/provider/products/p1/publishes"
        in banner
    )


def test_no_upstream_may_be_a_sites_own_side(report: Report) -> None:
    site = report.sites[0]
    reserved = report.plan.settings(report.sites)["RESERVED_ENDPOINTS"].split(",")
    assert reserved == [f"127.0.0.1:{port}" for port in (site.listen, site.admin)]


def test_a_site_is_enrolled_anew_when_its_agent_its_ports_or_the_control_plane_changed(
    report: Report,
) -> None:
    site = report.sites[0]
    assert not site.is_enrolled_at("http://127.0.0.1:8000")
    site.state.mkdir(parents=True)
    site.note_enrolled_at("http://127.0.0.1:8000")
    assert site.is_enrolled_at("http://127.0.0.1:8000")
    assert not site.is_enrolled_at("http://127.0.0.1:9000")
    other_site = report.plan.site(id="a2", name="dev-1", cluster="kr-dev")
    assert not other_site.is_enrolled_at("http://127.0.0.1:8000")
    other_site.forget()
    assert not site.is_enrolled_at("http://127.0.0.1:8000")
    assert not site.state.exists()
