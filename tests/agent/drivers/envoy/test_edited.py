"""Another hand changes files while the agent runs: nothing opens, and the next look puts them right."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from agent.protocol.spec import ApiKey, Auth, AuthMode, Spec
from tests.agent.doubles import ControlPlaneDouble, Upstreams, live, until, withdrawn
from tests.agent.gateway import Gateway
from tests.agent.program import Children, Site
from tests.agent.running import Running

KEY = {"apikey": "right"}


def closed(port: int) -> Spec:
    keys = (
        ApiKey(
            id=UUID("6f2ab7a6-6f3c-4f0e-8d64-6b5a5b0d8a11"), consumer="one", fingerprint="f", secret="right"
        ),
    )
    return live(port=port, auth=Auth(mode=AuthMode.API_KEY, key_header="apikey", keys=keys))


EDITS: dict[str, Callable[[str], str]] = {
    "emptied": lambda _text: "",
    "other address": lambda text: text.replace("127.0.0.1", "127.0.0.9"),
}


def replace(path: Path, text: str, *, is_renamed: bool) -> None:
    """Edit as an editor does: in place, or by a rename."""
    target = path.with_name("edited") if is_renamed else path
    target.write_text(text)
    if is_renamed:
        target.rename(path)


@pytest.fixture
def agent(tmp_path: Path, control_plane: ControlPlaneDouble, gateway: Gateway) -> Iterator[Running]:
    running = Running(tmp_path, control_plane, driver=gateway.driver)
    yield running
    running.stop()


@pytest.mark.parametrize("is_renamed", [True, False], ids=["renamed", "in place"])
@pytest.mark.parametrize("edit", EDITS)
def test_the_bootstrap_is_put_right_at_the_next_look(
    agent: Running, gateway: Gateway, upstream: Upstreams, edit: str, *, is_renamed: bool
) -> None:
    spec = closed(upstream.port)
    agent.post(agent.seal(spec).token)
    agent.watch.look()
    until(lambda: agent.worker.is_renewed, description="renewed once")
    path = gateway.state / "envoy" / "bootstrap.json"
    right = path.read_text()
    assert not gateway.driver.is_altered()
    replace(path, EDITS[edit](right), is_renamed=is_renamed)
    assert gateway.driver.is_altered()
    agent.watch.look()
    until(lambda: not gateway.driver.is_altered(), description="put right")
    assert path.read_text() == right
    assert [gateway.ask(spec.host).status, gateway.ask(spec.host, headers=KEY).status] == [401, 200]


def test_no_edit_of_a_file_opens_anything(agent: Running, gateway: Gateway, upstream: Upstreams) -> None:
    spec, withdrawn_spec = closed(upstream.port), live(port=upstream.port)
    agent.post(agent.seal(spec, withdrawn_spec).token)
    agent.post(agent.seal(withdrawn(withdrawn_spec, generation=2)).token)
    folder = gateway.state / "envoy"
    with closing(sqlite3.connect(folder / "resources.sqlite3")) as database, database:
        database.execute("UPDATE resource SET body = replace(body, 'imp.auth', 'imp.none')")
    (folder / "bootstrap.json").unlink()
    statuses = [
        gateway.ask(spec.host).status,
        gateway.ask(spec.host, headers=KEY).status,
        gateway.ask(withdrawn_spec.host).status,
    ]
    assert statuses == [401, 200, 410]
    assert gateway.driver.is_altered()


def test_a_running_agent_heals_by_itself(
    tmp_path: Path, control_plane: ControlPlaneDouble, children: Children, upstream: Upstreams
) -> None:
    control_plane.asks_for_reports = False  # no word of the control plane is needed
    site = Site(tmp_path / "state", control_plane, children)
    site.start()
    spec = closed(upstream.port)
    site.push(spec)
    log, path = site.folder / "agent.log", site.folder / "envoy" / "bootstrap.json"
    right = path.read_text()
    until(partial(is_told, log, "gateway_renewed", 0), description="nothing was to be put right")
    path.write_text(right.replace(site.gateway.admin.partition(":")[0], "127.0.0.9"))
    until(lambda: path.read_text() == right, description="put right")
    until(partial(is_told, log, "files_changed_by_another_hand", 1), description="told")
    assert site.gateway.ask(spec.host).status == 401
    site.gateway.stop()


def is_told(log: Path, event: str, times: int) -> bool:
    return log.read_text().count(event) == times
