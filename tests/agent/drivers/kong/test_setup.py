"""Choosing the driver on the command line, and what it makes of nodes it cannot work with."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.__main__ import _parse
from agent.drivers.base import SetupFailed, Unreachable
from agent.drivers.kong import node
from agent.drivers.kong.admin_api import Admin
from agent.drivers.kong.setup import KongSetup
from tests.agent.doubles import absent, free_port, live
from tests.agent.drivers.kong.gateway import Gateway, driver_of, key, with_keys

BASE = ["enroll", "--code", "c", "--state", "/s", "--driver", "kong", "--listen", "127.0.0.1:1"]
GOOD = {"--admin-url": "http://127.0.0.1:8001/", "--proxy-url": "http://127.0.0.1:8000"}


def options(**overrides: str) -> dict[str, str]:
    flags = {**GOOD, **{f"--{name.replace('_', '-')}": value for name, value in overrides.items()}}
    return KongSetup().options(_parse([*BASE, *[argument for pair in flags.items() for argument in pair]]))


def test_what_is_remembered_and_what_no_upstream_may_be(tmp_path: Path) -> None:
    remembered = options(reserve="127.0.0.1:8100", public_url="https://api.example")
    assert (remembered["admin_url"], remembered["alone"]) == ("http://127.0.0.1:8001", "")
    assert (
        KongSetup().options(
            _parse([*BASE, *[argument for pair in GOOD.items() for argument in pair], "--alone"])
        )["alone"]
        == "1"
    )
    driver = KongSetup().create(tmp_path, remembered, node="test")
    assert driver.reserved() == ("127.0.0.1:8001", "127.0.0.1:8000", "127.0.0.1:8100")
    assert driver.proxy_url == "https://api.example"
    assert KongSetup().create(tmp_path, options(), node="test").proxy_url == "http://127.0.0.1:8000"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"admin_url": "127.0.0.1:8001"}, "--admin-url must be an http or https URL"),
        ({"admin_url": "http://me:pw@127.0.0.1:8001"}, "without credentials"),
        ({"admin_url": "http://127.0.0.1:99999"}, "--admin-url must be"),
        ({"proxy_url": "https://127.0.0.1:8443"}, "must be the plain HTTP listener"),
        ({"reserve": "8100"}, "--reserve must be HOST:PORT"),
        ({"admin_token_file": "/no/such/file"}, "cannot be read"),
    ],
)
def test_a_mistake_is_said_before_the_code_is_spent(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(SetupFailed, match=message):
        options(**overrides)


def test_the_admin_api_s_token_comes_from_a_file_and_stays_there(db: Gateway, tmp_path: Path) -> None:
    db.kong.token = "canary-token"
    (tmp_path / "token").write_text("canary-token\n")
    remembered = options(
        admin_url=db.kong.admin_url, proxy_url=db.kong.proxy_url, admin_token_file=str(tmp_path / "token")
    )
    assert "canary-token" not in str(remembered)
    assert KongSetup().create(tmp_path, remembered, node="test").describe().ok
    (tmp_path / "token").write_text("wrong")
    refused = KongSetup().create(tmp_path, remembered, node="test").describe()
    assert (refused.ok, refused.error) == (
        False,
        f"Kong's Admin API at {db.kong.admin_url} refuses this agent (401). Check the token.",
    )


def test_settings_of_an_older_enrolment_are_said_to_be_so() -> None:
    with pytest.raises(SetupFailed, match="enrol again with --force"):
        KongSetup().create(Path(), {"admin_url": "http://127.0.0.1:1"}, node="test")


def test_it_finds_out_what_it_is_before(gateway: Gateway) -> None:
    description = gateway.driver.describe()
    mode = "DB-less" if gateway.kong.database == "off" else "DB (postgres)"
    assert (description.ok, description.error, description.version, description.mode) == (
        True,
        "",
        "3.9.3",
        mode,
    )


@pytest.mark.parametrize(
    ("switch", "message", "code"),
    [
        ({"version": "2.8.5"}, "This is Kong 2.8.5; the driver needs 3.0 or newer.", "version_unsuitable"),
        (
            {"router_flavor": "expressions"},
            "This Kong routes by expressions; the driver needs router_flavor traditional_compatible.",
            "router_unsuitable",
        ),
        ({"reachable": False}, "answered 500 for GET /.", "admin_busy"),
    ],
)
def test_a_node_that_cannot_be_driven_is_not_touched(
    gateway: Gateway, switch: dict[str, Any], message: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.drivers.kong.admin_api.PAUSES_S", ())
    for name, value in switch.items():
        setattr(gateway.kong.admin, name, value)
    description = gateway.driver.describe()
    assert (description.ok, message in description.error) == (False, True)
    with pytest.raises(Unreachable) as problem:
        gateway.memory.apply(live())
    assert problem.value.code == code
    assert gateway.kong.faults.writes() == []


@pytest.mark.parametrize(
    ("switch", "seconds"),
    [
        ({"consistency": "eventual"}, 11.0),
        ({"consistency": "strict"}, 6.0),
        (
            {"consistency": "eventual", "polls_every_s": 1, "passes_on_after_s": 0.5, "rebuilds_every_s": 1},
            3.5,
        ),
        ({"consistency": "eventual", "database": "off"}, 0.0),
    ],
)
def test_a_node_says_how_long_the_others_of_its_database_may_take(
    db: Gateway, switch: dict[str, Any], seconds: float
) -> None:
    for name, value in switch.items():
        setattr(db.kong.admin, name, value)
    assert node.read_node(Admin(db.kong.admin_url)).propagation_s == seconds


@pytest.mark.parametrize("is_alone", [True, False])
def test_what_asks_for_credentials_waits_for_the_other_nodes_unless_there_are_none(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, is_alone: bool
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(
        "agent.drivers.kong.driver.time", SimpleNamespace(sleep=waits.append, monotonic=time.monotonic)
    )
    again, closed = Gateway(gateway.kong, is_alone=is_alone), with_keys(9, key("one", "key-one"))
    again.publish(live(), closed)
    again.publish(closed)
    again.memory.apply(absent(closed, generation=2))
    # Once before its services are switched on, and once before its plugins go.
    assert len(waits) == (0 if is_alone or gateway.kong.database == "off" else 2)
    assert all(5.0 < wait_s <= 6.0 for wait_s in waits)


def test_what_is_no_kong_is_said_so(db: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.drivers.kong.admin_api.PAUSES_S", ())
    wrong = KongSetup().create(
        Path(), {"admin_url": db.kong.proxy_url, "proxy_url": db.kong.proxy_url}, node="test"
    )
    assert "answered 404" in wrong.describe().error
    away = KongSetup().create(
        Path(), {"admin_url": f"http://127.0.0.1:{free_port()}", "proxy_url": db.kong.proxy_url}, node="test"
    )
    assert "does not answer" in away.describe().error
    assert driver_of(db.kong).describe().ok
