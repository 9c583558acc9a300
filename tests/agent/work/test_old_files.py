"""A gateway that runs on while its agent's disk, its own files among it, is put back to an earlier time."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.protocol.messages import Outcome
from tests.agent.doubles import ControlPlaneDouble, Upstreams, absent, live, until, withdrawn
from tests.agent.program import Children, Site

NO_SOCKETS = shutil.ignore_patterns("*.sock")


@pytest.fixture
def site(tmp_path: Path, control_plane: ControlPlaneDouble, children: Children) -> Iterator[Site]:
    site = Site(tmp_path / "state", control_plane, children)
    yield site
    site.gateway.stop()


def test_what_is_pushed_before_the_first_report_brings_nothing_older_back(
    site: Site, upstream: Upstreams, tmp_path: Path
) -> None:
    site.start()
    withdrawn_spec, removed, second_spec, late = (live(port=upstream.port) for _ in range(4))
    site.push(withdrawn_spec, removed, second_spec)
    shutil.copytree(site.folder, tmp_path / "copy", ignore=NO_SOCKETS)
    since = [withdrawn(withdrawn_spec, generation=2), absent(removed, generation=2), late]
    site.push(*since)
    site.process.kill()
    site.process.wait()
    shutil.copytree(tmp_path / "copy", site.folder, dirs_exist_ok=True)
    site.start()
    hosts = (withdrawn_spec.host, removed.host, late.host, second_spec.host)

    pushed = withdrawn(second_spec, generation=2)
    (result,) = site.push(pushed)
    assert result.outcome == Outcome.VERIFIED
    assert [site.gateway.ask(host).status for host in hosts] == [410, 404, 200, 410]
    results = site.push(*since, pushed)
    assert {result.outcome for result in results} == {Outcome.VERIFIED}
    assert [site.gateway.ask(host).status for host in hosts] == [410, 404, 200, 410]


def test_the_first_heartbeat_tells_what_the_gateway_serves_and_not_what_its_old_files_say(
    site: Site, upstream: Upstreams, tmp_path: Path
) -> None:
    site.start()
    spec = live(port=upstream.port)
    site.push(spec)
    shutil.copytree(site.folder, tmp_path / "copy", ignore=NO_SOCKETS)
    site.push(withdrawn(spec, generation=2))
    site.process.kill()
    site.process.wait()
    shutil.copytree(tmp_path / "copy", site.folder, dirs_exist_ok=True)
    site.double.reports.clear()
    site.double.expected = {spec.publish_id: withdrawn(spec, generation=2)}
    site.start()
    until(lambda: site.verified() == {(spec.publish_id, 2)}, description="it is healed forward")
    (first, *_later) = [
        entry
        for report in site.double.reports
        for entry in report.carried
        if entry.publish_id == spec.publish_id
    ]
    assert (first.generation, first.verified) == (2, False)
    assert site.gateway.ask(spec.host).status == 410
