"""The heartbeat against a real HTTP control plane: its content, what it has fetched, and moved upstreams."""

import dataclasses
import ipaddress
import threading
from collections.abc import Iterable
from uuid import UUID

import pytest

from agent.control_plane.client import ControlPlaneFailed
from agent.protocol import signing
from agent.protocol.messages import Absence, Outcome, Report, ReportAnswer, SpecsAnswer
from agent.protocol.spec import State
from agent.work import carried
from agent.work.upstreams import Pinner
from tests.agent.doubles import absent, live, make_service, until
from tests.agent.running import Running


def test_the_heartbeat_says_what_is_carried_and_fetches_what_is_not(agent: Running) -> None:
    expected = live()
    agent.double.expected[expected.publish_id] = expected
    agent.beat()
    first = agent.double.heartbeats[0]
    assert (first.driver, first.gateway_ok, first.gateway_version, first.proxy_url) == (
        "memory",
        True,
        "memory/1",
        "http://proxy.example",
    )
    assert first.reserved == (agent.url.removeprefix("http://"),)
    assert first.fingerprint == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    until(
        lambda: agent.double.results and agent.double.results[0].outcome == Outcome.VERIFIED,
        description="fetched, applied and told",
    )
    agent.beat()
    assert agent.double.heartbeats[1].fingerprint != first.fingerprint
    (line,) = agent.double.reports[1].carried
    assert (line.publish_id, line.generation, line.digest, line.state, line.verified) == (
        expected.publish_id,
        1,
        expected.digest,
        State.LIVE,
        True,
    )


def test_no_report_is_sent_when_none_is_asked_for(agent: Running) -> None:
    agent.double.asks_for_reports = False
    agent.beat()
    assert (len(agent.double.heartbeats), agent.double.reports) == (1, [])


def test_what_the_gateway_lost_is_not_called_verified(agent: Running) -> None:
    spec = live()
    agent.post(agent.seal(spec).token)
    agent.gateway.carried.clear()
    agent.beat()
    assert [entry.verified for entry in agent.double.reports[-1].carried] == [False]
    agent.post(agent.seal(spec).token)
    agent.gateway.in_force = False
    agent.beat()
    assert [entry.verified for entry in agent.double.reports[-1].carried] == [False]


def test_an_away_gateway_is_said_and_nothing_is_verified(agent: Running) -> None:
    agent.post(agent.seal(live()).token)
    agent.gateway.away = True
    agent.beat()
    beat = agent.double.heartbeats[-1]
    assert (beat.gateway_ok, beat.gateway_error) == (False, "The gateway is away.")
    assert [entry.verified for entry in agent.double.reports[-1].carried] == [False]


def test_removed_publishes_stay_known_but_out_of_the_fingerprint(agent: Running) -> None:
    spec = live()
    agent.post(agent.seal(spec).token)
    agent.post(agent.seal(absent(spec, generation=2)).token)
    agent.beat()
    (line,) = agent.double.reports[-1].carried
    assert (line.generation, line.state, line.verified) == (2, State.ABSENT, True)
    assert (
        agent.double.heartbeats[-1].fingerprint
        == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )


def test_a_publish_that_only_the_gateway_knows_is_reported(agent: Running) -> None:
    spec = live(generation=3)
    agent.post(agent.seal(spec).token)
    agent.store._content = agent.store._content.model_copy(update={"publishes": {}})
    agent.beat()
    (line,) = agent.double.reports[-1].carried
    assert (line.publish_id, line.generation, line.verified) == (spec.publish_id, 3, False)


def test_the_heartbeat_goes_on_after_failures_in_the_told_interval(agent: Running) -> None:
    agent.double.interval_ms = 100
    agent.double.broken = True
    agent.heart.start()
    until(lambda: agent.heart._failures >= 1, description="a beat failed")
    agent.double.broken = False
    until(lambda: len(agent.double.heartbeats) >= 4, description="it beats again")


def pauses_after(agent: Running, failures: int) -> list[float]:
    """What a thousand agents would wait, in intervals."""
    agent.heart._failures, agent.heart._interval_s = failures, 10.0
    return sorted(agent.heart._pause_s() / 10.0 for _ in range(1000))


def test_a_healthy_heartbeat_comes_within_a_fifth_of_the_interval(agent: Running) -> None:
    pauses = pauses_after(agent, 0)
    assert 0.8 <= pauses[0] < 0.83
    assert 1.17 < pauses[-1] <= 1.2


@pytest.mark.parametrize(("failures", "longest"), [(1, 1.0), (2, 2.0), (3, 2.0), (50, 2.0)])
def test_after_failures_agents_come_back_spread_out_and_not_more_often_than_healthy_ones(
    agent: Running, failures: int, longest: float
) -> None:
    pauses = pauses_after(agent, failures)
    assert longest / 4 <= pauses[0]
    assert pauses[-1] <= longest
    # No tenth of the window meets more than a fifth of them.
    assert (
        max(sum(longest * n / 10 <= pause < longest * (n + 1) / 10 for pause in pauses) for n in range(10))
        < 200
    )
    assert failures == 1 or sum(pauses) / len(pauses) > 1


def test_a_success_ends_the_back_off(agent: Running) -> None:
    agent.double.broken = True
    for _ in range(3):
        agent.heart._beat_safely()
    assert agent.heart._failures == 3
    agent.double.broken = False
    agent.heart._beat_safely()
    assert agent.heart._failures == 0


def test_a_long_pull_keeps_no_heartbeat_waiting(agent: Running) -> None:
    go_on, specs = threading.Event(), agent.control_plane.specs

    def slow(publish_ids: Iterable[UUID]) -> SpecsAnswer:
        assert go_on.wait(5)
        return specs(publish_ids)

    agent.control_plane.specs = slow  # type: ignore[method-assign]
    expected = live()
    agent.double.expected[expected.publish_id] = expected
    agent.puller.start()
    agent.heart.beat()
    until(lambda: agent.double.reports, description="the pull has begun")
    for _ in range(3):
        agent.heart.beat()
    assert (len(agent.double.heartbeats), len(agent.double.reports)) == (4, 1)
    go_on.set()
    until(lambda: agent.gateway.carried, description="it was fetched")
    agent.heart.beat()
    until(lambda: len(agent.double.reports) == 2, description="the next heartbeat has it told")


def test_what_the_answers_to_all_pages_of_a_report_ask_for_is_done(
    agent: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carried, "REPORT_ROWS", 1)
    standing, removed, expected = live(), live(), live()
    agent.post(agent.seal(standing, removed).token)
    agent.post(agent.seal(absent(removed, generation=2)).token)
    agent.double.expected = {spec.publish_id: spec for spec in (standing, expected)}
    agent.double.forget = (Absence(publish_id=removed.publish_id, generation=2),)
    agent.double.keys_asked = (standing.publish_id,)
    agent.beat()
    assert [len(page.carried) for page in agent.double.reports] == [1, 1]
    assert [(line.publish_id, line.generation) for line in agent.double.let_in] == [(standing.publish_id, 1)]
    until(
        lambda: agent.store.records.keys() == {standing.publish_id, expected.publish_id},
        description="one is forgotten, one fetched",
    )


def test_an_agent_that_stops_sends_no_further_page(agent: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carried, "REPORT_ROWS", 1)
    agent.post(agent.seal(live(), live()).token)
    send = agent.control_plane.report

    def last(report: Report) -> ReportAnswer:
        agent.puller.stop()
        return send(report)

    agent.control_plane.report = last  # type: ignore[method-assign]
    agent.beat()
    assert len(agent.double.reports) == 1


def test_an_answer_sealed_by_another_key_is_not_believed(agent: Running) -> None:
    agent.double.key = signing.new_key()
    spec = live()
    agent.double.expected[spec.publish_id] = spec
    with pytest.raises(ControlPlaneFailed, match="cannot be trusted"):
        agent.beat()
    assert agent.gateway.changes == []


def test_upstreams_that_move_inside_the_fence_are_followed_and_others_are_not(agent: Running) -> None:
    current = ["10.0.0.1"]
    agent.double.networks = ("10.0.0.0/8",)
    pinner = Pinner(resolver=lambda _host, _port: [ipaddress.ip_address(address) for address in current])
    agent.heart._parts = dataclasses.replace(agent.heart._parts, pinner=pinner)
    agent.worker._parts = dataclasses.replace(agent.worker._parts, pinner=pinner)
    spec = live(services=(make_service(80, host="moving.example"),))
    agent.post(agent.seal(spec).token)

    def addresses() -> tuple[str, ...]:
        return agent.gateway.carried[spec.publish_id].addresses["moving.example:80"]

    assert addresses() == ("10.0.0.1",)
    current[:] = ["10.0.0.2", "10.0.0.3"]
    agent.heart.refresh_addresses()
    until(lambda: addresses() == ("10.0.0.2", "10.0.0.3"), description="the new addresses are there")
    changes = len(agent.gateway.changes)
    for outside in (["169.254.169.254"], ["10.0.0.2", "127.0.0.1"], ["192.0.2.1"]):
        current[:] = outside
        agent.heart.refresh_addresses()
    agent.post(agent.seal(live()).token)
    assert addresses() == ("10.0.0.2", "10.0.0.3")
    assert len(agent.gateway.changes) == changes
    agent.beat()
    assert [
        entry.verified for entry in agent.double.reports[-1].carried if entry.publish_id == spec.publish_id
    ] == [True]
