"""Envoy's files changed by somebody else while the agent runs: the next look notices and repairs them.

So does the next publish.
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from agent.drivers.base import Desired
from agent.drivers.envoy.documents import Document
from agent.protocol.spec import ApiKey, Auth, AuthMode, Spec
from agent.work.carried import carried_now
from tests.agent.doubles import ControlPlaneDouble, Upstreams, live, until, withdrawn
from tests.agent.gateway import Gateway, hold
from tests.agent.program import Children, Site
from tests.agent.running import Running

KEY = {"apikey": "right"}
FILES = ("bootstrap.json", "lds.json", "cds.json", "rds.json", "ecds.json")


def closed(port: int) -> Spec:
    keys = (
        ApiKey(
            id=UUID("6f2ab7a6-6f3c-4f0e-8d64-6b5a5b0d8a11"), consumer="one", fingerprint="f", secret="right"
        ),
    )
    return live(port=port, auth=Auth(mode=AuthMode.API_KEY, key_header="apikey", keys=keys))


def without_filters(text: str) -> str:
    """The listener asks for nothing any more."""
    content: Any = json.loads(text)
    manager = content["resources"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    manager["http_filters"] = manager["http_filters"][-1:]
    return json.dumps(content)


def signed_anew(text: str) -> str:
    """Another hand that knows how versions are made."""
    return json.dumps(
        {
            "version_info": (new := Document.of(json.loads(text)["resources"][:0])).version,
            "resources": list(new.resources),
        }
    )


def without_auth(text: str) -> str:
    """No host asks for anything any more, under a version that fits."""
    resources: Any = json.loads(text)["resources"]
    for host in resources[0]["virtual_hosts"]:
        host.pop("typed_per_filter_config", None)
    new = Document.of(resources)
    return json.dumps({"version_info": new.version, "resources": list(new.resources)})


EDITS: dict[str, Callable[[str], str]] = {
    "emptied": lambda _text: "",
    "other version": lambda text: text.replace('"version_info": "', '"version_info": "0'),
    "other address": lambda text: text.replace("127.0.0.1", "127.0.0.9"),
    "signed anew": signed_anew,
}


CASES = [
    ("bootstrap.json", "emptied"),
    ("bootstrap.json", "other address"),
    ("lds.json", "other address"),
    ("cds.json", "other address"),
]
CASES += [(name, edit) for name in FILES[1:] for edit in ("emptied", "other version", "signed anew")]


def replace(path: Path, text: str, *, is_renamed: bool) -> None:
    """Edit as an editor does.

    Envoy is woken by a rename, and reads what was written in place at its next start.
    """
    target = path.with_name("edited") if is_renamed else path
    target.write_text(text)
    if is_renamed:
        target.rename(path)


def contents(gateway: Gateway) -> dict[str, Any]:
    read = {name: json.loads((gateway.state / "envoy" / name).read_text()) for name in FILES}
    return {name: content.get("resources", content) for name, content in read.items()}


@pytest.fixture
def agent(tmp_path: Path, control_plane: ControlPlaneDouble, gateway: Gateway) -> Iterator[Running]:
    running = Running(tmp_path, control_plane, driver=gateway.driver)
    yield running
    running.stop()


def test_a_listener_without_its_filters_is_open_until_the_next_look(
    agent: Running, gateway: Gateway, upstream: Upstreams
) -> None:
    spec = closed(upstream.port)
    agent.post(agent.seal(spec).token)
    path = gateway.state / "envoy" / "lds.json"
    replace(path, without_filters(path.read_text()), is_renamed=True)
    until(lambda: gateway.ask(spec.host).status == 200, description="everybody is let in")
    assert [entry.verified for entry in carried_now(agent.heart._parts.driver, agent.store.records)] == [
        False
    ]
    agent.watch.look()
    until(lambda: gateway.ask(spec.host).status == 401, description="it asks for keys again")
    assert gateway.ask(spec.host, headers=KEY).status == 200
    until(
        lambda: (
            [entry.verified for entry in carried_now(agent.heart._parts.driver, agent.store.records)]
            == [True]
        ),
        description="verified again",
    )


def test_the_next_publish_puts_the_listener_right_before_anything_else(
    gateway: Gateway, upstream: Upstreams
) -> None:
    driver, spec, open_spec = gateway.driver, closed(upstream.port), live(port=upstream.port)
    driver.apply([Desired(wanted=hold(spec))])
    path = gateway.state / "envoy" / "lds.json"
    replace(path, without_filters(path.read_text()), is_renamed=True)
    until(lambda: gateway.ask(spec.host).status == 200, description="everybody is let in")
    assert driver.apply([Desired(wanted=hold(spec)), Desired(wanted=hold(open_spec))]).changes == 3
    assert [gateway.ask(served.host).status for served in (spec, open_spec)] == [401, 200]


@pytest.mark.parametrize("is_renamed", [True, False], ids=["renamed", "in place"])
@pytest.mark.parametrize(("name", "edit"), CASES)
def test_every_file_is_put_right_at_the_next_look(
    agent: Running, gateway: Gateway, upstream: Upstreams, name: str, edit: str, is_renamed: bool
) -> None:
    spec, withdrawn_spec = closed(upstream.port), live(port=upstream.port)
    agent.post(agent.seal(spec, withdrawn_spec).token)
    agent.post(agent.seal(withdrawn(withdrawn_spec, generation=2)).token)
    agent.watch.look()
    until(lambda: agent.worker.is_renewed, description="renewed once")
    right, driver = contents(gateway), agent.heart._parts.driver
    assert not driver.is_altered()
    path = gateway.state / "envoy" / name
    replace(path, EDITS[edit](path.read_text()), is_renamed=is_renamed)
    assert driver.is_altered()
    assert not driver.observe().in_force
    agent.watch.look()
    until(lambda: not driver.is_altered(), description="put right")
    until(lambda: driver.observe().in_force, description="in force")
    assert contents(gateway) == right
    assert [
        gateway.ask(spec.host).status,
        gateway.ask(spec.host, headers=KEY).status,
        gateway.ask(withdrawn_spec.host).status,
    ] == [401, 200, 410]


def test_a_file_that_is_gone_is_written_again(agent: Running, gateway: Gateway, upstream: Upstreams) -> None:
    spec = live(port=upstream.port)
    agent.post(agent.seal(spec).token)
    right, driver = contents(gateway), agent.heart._parts.driver
    for name in FILES:
        (gateway.state / "envoy" / name).unlink()
    assert driver.is_altered()
    agent.watch.look()
    until(lambda: not driver.is_altered(), description="put right")
    assert contents(gateway) == right


def is_told(log: Path, event: str, times: int) -> bool:
    return log.read_text().count(event) == times


def test_a_running_agent_heals_by_itself(
    tmp_path: Path, control_plane: ControlPlaneDouble, children: Children, upstream: Upstreams
) -> None:
    control_plane.asks_for_reports = False  # no word of the control plane is needed
    site = Site(tmp_path / "state", control_plane, children)
    site.start()
    spec = closed(upstream.port)
    site.push(spec)
    log = site.folder / "agent.log"
    for times, (name, edit) in enumerate(
        (("lds.json", without_filters), ("rds.json", without_auth)), start=1
    ):
        path = site.folder / "envoy" / name
        replace(path, edit(path.read_text()), is_renamed=True)
        until(lambda: site.gateway.ask(spec.host).status != 401, description="the edit is in force")
        until(lambda: site.gateway.ask(spec.host).status == 401, description="healed")
        assert site.gateway.ask(spec.host, headers=KEY).status == 200
        until(partial(is_told, log, "gateway_renewed", times), description="the change is over")
        assert is_told(log, "files_changed_by_another_hand", times)
    site.gateway.stop()
