"""A Kong that the person brings to the demo: a cluster of its own, and nothing left on it after a reset."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agent import config
from agent.config import Identity, Settings
from agent.protocol import signing
from agent.work.state import Store
from demo.folder import Folder
from demo.own_kong import OwnKong, take_back
from demo.plan import Plan
from demo.process import DemoRefused
from demo.report import Report
from demo.seed import Login, Seeded, SeededAgent, SeededCluster, SeededGateway
from tests.agent.doubles import free_port, live, until
from tests.agent.drivers.kong.gateway import Gateway
from tests.agent.gateway import hold
from tests.doubles.kong.node import Kong
from tests.doubles.kong.schemas import KINDS

URLS = {"KONG_ADMIN_URL": "http://127.0.0.1:8001/", "KONG_PROXY_URL": "http://127.0.0.1:8000"}


@pytest.fixture
def kong() -> Iterator[Kong]:
    running = Kong().start()
    yield running
    running.stop()


def test_both_urls_make_a_kong_and_none_of_them_none() -> None:
    assert OwnKong.of(URLS) == OwnKong(admin_url="http://127.0.0.1:8001", proxy_url="http://127.0.0.1:8000")
    assert OwnKong.of({**URLS, "KONG_ALONE": "1"}) == OwnKong(
        admin_url="http://127.0.0.1:8001", proxy_url="http://127.0.0.1:8000", is_alone=True
    )
    assert OwnKong.of({}) is None
    assert OwnKong.of({"KONG_ADMIN_URL": "", "KONG_PROXY_URL": ""}) is None


@pytest.mark.parametrize(
    "environ",
    [
        {**URLS, "KONG_PROXY_URL": ""},
        {**URLS, "KONG_ADMIN_URL": ""},
        {**URLS, "KONG_ADMIN_URL": "127.0.0.1:8001"},
    ],
)
def test_half_a_kong_is_refused_with_what_to_say(environ: dict[str, str]) -> None:
    with pytest.raises(DemoRefused, match=re.escape("http://127.0.0.1:8001 and http://127.0.0.1:8000")):
        OwnKong.of(environ)


def test_a_kong_that_does_not_answer_is_refused_before_anything_starts() -> None:
    with pytest.raises(DemoRefused, match="does not answer"):
        OwnKong(admin_url=f"http://127.0.0.1:{free_port()}", proxy_url="http://127.0.0.1:1").check()


def test_demo_json_names_it_like_the_others_but_for_a_process_that_is_not_ours(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    plan, own = (
        Plan(folder, port=8000),
        OwnKong(admin_url="http://127.0.0.1:8001", proxy_url="http://127.0.0.1:8000"),
    )
    people = {
        name: Login(username=name, password="pw")
        for name in ("operator", "provider", "other_provider", "viewer")
    }
    gateways = (SeededGateway(id="g", name="kong-gateway", gateway_class="kong"),)
    cluster = SeededCluster(
        id="c", name="kr-kong", gateways=gateways, agents=(SeededAgent(id="a", name="kong-1"),)
    )
    site = plan.site(id="a", name="kong-1", cluster="kr-kong", kong=own)
    report = Report(plan=plan, seeded=Seeded(product_id="p", clusters=(cluster,), **people), sites=(site,))
    (kong_facts,) = report.facts(
        {"web": 1, "worker": 2, "beat": 3, "postgres": 4, "broker": 5, "agent-kong-1": 6}
    )["clusters"]
    agent = {
        "id": "a",
        "name": "kong-1",
        "pid": 6,
        "gateway_pid": None,
        "proxy_url": "http://127.0.0.1:8000",
        "admin_url": "http://127.0.0.1:8001",
    }
    assert kong_facts == {
        "id": "c",
        "name": "kr-kong",
        "gateways": [{"id": "g", "name": "kong-gateway", "class": "kong"}],
        "agents": [agent],
    }
    assert {"127.0.0.1:8001", "127.0.0.1:8000", f"127.0.0.1:{site.listen}"} <= set(
        plan.settings((site,))["RESERVED_ENDPOINTS"].split(",")
    )
    os.close(folder.lock)


def agent_of(kong: Kong, folder: Path) -> Path:
    """The state folder of an agent that drives this Kong and has put a publish there."""
    options = {"admin_url": kong.admin_url, "proxy_url": kong.proxy_url}
    identity = {
        "agent_id": "a",
        "name": "kong-1",
        "cluster": "kr-kong",
        "control_plane_url": "http://127.0.0.1:1",
        "listen": "127.0.0.1:1",
        "advertise": "",
    }
    state = folder / "agents" / "kong-1"
    state.mkdir(parents=True)
    key = signing.new_key()
    config.save(
        state,
        Identity(
            settings=Settings(driver="kong", options=options, **identity), key=key, control_plane_keys=(key,)
        ),
    )
    spec = live()
    Gateway(kong).publish(spec)
    Store(state).accept([hold(spec)], refused_generations={}, networks=())
    return folder / "agents"


def test_what_the_demo_put_there_is_taken_back_and_nothing_else(kong: Kong, tmp_path: Path) -> None:
    agents, second_spec = agent_of(kong, tmp_path), live()
    Gateway(kong).publish(second_spec)
    kong.store.post(KINDS["services"], {"name": "theirs", "url": "http://127.0.0.1:9"})
    assert take_back(agents) == [kong.admin_url]
    assert list(Gateway(kong).driver.observe().carried) == [second_spec.publish_id]
    assert len([service for service in kong.entities("services") if service["name"] == "theirs"]) == 1


def test_a_reset_does_not_forget_a_kong_that_is_away(
    kong: Kong, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.drivers.kong.admin_api.PAUSES_S", ())
    agents = agent_of(kong, tmp_path)
    kong.stop()
    with pytest.raises(DemoRefused, match="would stay: start it and try again, or remove"):
        take_back(agents)
    assert take_back(tmp_path / "nothing here") == []


@pytest.mark.long
def test_the_whole_demo_publishes_on_a_kong_and_resets_it(kong: Kong, tmp_path: Path) -> None:
    settings = {
        "PORT": str(free_port()),
        "DEMO_DIR": str(tmp_path),
        "KONG_ADMIN_URL": kong.admin_url,
        "KONG_PROXY_URL": kong.proxy_url,
    }
    env = {
        name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}
    } | settings
    demo = subprocess.Popen(
        [sys.executable, "-m", "demo"], env=env, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        until(
            lambda: (tmp_path / "demo.json").exists() or demo.poll() is not None,
            within_s=120,
            description="the demo is ready",
        )
        facts = json.loads((tmp_path / "demo.json").read_text())
        place = next(cluster for cluster in facts["clusters"] if cluster["name"] == "kr-kong")
        _publish(facts, place, kong)
    finally:
        os.killpg(demo.pid, signal.SIGINT)
        demo.wait(60)
    assert len(kong.own("services")) == 3
    subprocess.run([sys.executable, "-m", "demo", "--reset"], env=env, check=True, stdout=subprocess.DEVNULL)
    assert [kong.own(kind) for kind in ("services", "routes", "plugins")] == [[], [], []]


def _publish(facts: dict[str, Any], place: dict[str, Any], kong: Kong) -> None:
    api = httpx2.Client(
        base_url=f"{facts['web_url']}/api/v1/provider",
        headers={"Authorization": f"Bearer {facts['provider']['api_token']}"},
        trust_env=False,
    )
    settings = {"cluster_id": place["id"], "gateway_id": place["gateways"][0]["id"]}
    created = api.post(f"/products/{facts['product_id']}/publishes", json=settings).json()
    assert api.post(f"/product-publishes/{created['id']}/publish", json={"note": ""}).status_code == 202
    until(
        lambda: api.get(f"/product-publishes/{created['id']}").json()["status"] == "PUBLISHED",
        within_s=60,
        description="published on Kong",
    )
    answer = httpx2.get(
        f"{kong.proxy_url}/billing", headers={"Host": created["hostname_base"]}, trust_env=False
    )
    assert answer.status_code == 200
