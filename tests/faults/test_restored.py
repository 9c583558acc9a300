"""Backups are put back: an agent's disk, all of an agent's disk, the control plane's database."""

import time
from pathlib import Path

import httpx2
import pytest

from tests.faults import backups
from tests.faults.agreement import agree, page_of
from tests.faults.browser import Browser
from tests.faults.publish import Publish
from tests.faults.stack import Stack, eventually
from tests.faults.table import note
from tests.faults.watching import NOBODY_LISTENS, in_turn, watched

pytestmark = pytest.mark.long

OPEN_ALARMS = (
    "SELECT alarm.kind, alarm.publish_ref::text, alarm.generation, alarm.state, agent.name"
    " FROM publishes_alarm alarm"
    " JOIN clusters_agent agent ON agent.id = alarm.agent_id WHERE alarm.closed_at IS NULL"
)


def all_agree(stack: Stack, statuses: dict[Publish, str], *, since: float, within_s: float) -> float:
    return max(
        agree(stack, publish, status, within_s=within_s, since=since) for publish, status in statuses.items()
    )


def test_an_older_copy_of_its_disk_under_a_gateway_that_runs_on_changes_nothing_for_callers(
    stack: Stack, api: httpx2.Client, publish: Publish, tmp_path: Path
) -> None:
    agent, withdrawn, late = stack.agents[0], stack.draft(api), stack.draft(api)
    publish.run("publish")
    withdrawn.run("publish")
    agree(stack, withdrawn, "PUBLISHED", within_s=20)
    copy = backups.copy_disk(stack, agent, tmp_path / "copy")
    withdrawn.run("withdraw", reason="after the copy was made")
    late.run("publish")
    ends = {publish: "PUBLISHED", withdrawn: "WITHDRAWN", late: "PUBLISHED"}
    all_agree(stack, ends, since=time.monotonic(), within_s=20)
    with watched(stack, *ends, agents=[agent]) as statuses:
        with stack.stopped(agent):
            backups.put_disk_back(stack, agent, copy)
            began = time.monotonic()
        took = all_agree(stack, ends, since=began, within_s=20)
    assert {end: in_turn(statuses[end.id]) for end in ends} == {publish: [200], withdrawn: [410], late: [200]}
    withdrawn.clean_up()
    late.clean_up()
    note(
        "disk",
        "an older copy of it under a gateway that runs on: callers noticed nothing, healed forward",
        seconds=took,
        bound_s=20,
    )


def test_an_older_copy_of_its_disk_with_the_gateway_restarted_from_it_heals_forward(
    stack: Stack, api: httpx2.Client, publish: Publish, tmp_path: Path
) -> None:
    agent, withdrawn, late = stack.agents[1], stack.draft(api), stack.draft(api)
    publish.run("publish")
    withdrawn.run("publish")
    agree(stack, withdrawn, "PUBLISHED", within_s=20)
    copy = backups.copy_disk(stack, agent, tmp_path / "copy")
    withdrawn.run("withdraw", reason="after the copy was made")
    late.run("publish")
    ends = {publish: "PUBLISHED", withdrawn: "WITHDRAWN", late: "PUBLISHED"}
    all_agree(stack, ends, since=time.monotonic(), within_s=20)
    with watched(stack, *ends, agents=[agent]) as statuses:
        with stack.stopped(agent, f"gateway-{agent}"):
            backups.put_disk_back(stack, agent, copy)
            began = time.monotonic()
        took = all_agree(stack, ends, since=began, within_s=20)
    # The gateway itself starts with what its files say; nobody has told it more yet.
    assert in_turn(statuses[withdrawn.id]) in ([410, NOBODY_LISTENS, 200, 410], [410, NOBODY_LISTENS, 410])
    assert in_turn(statuses[late.id]) in ([200, NOBODY_LISTENS, 404, 200], [200, NOBODY_LISTENS, 200])
    assert in_turn(statuses[publish.id]) == [200, NOBODY_LISTENS, 200]
    withdrawn.clean_up()
    late.clean_up()
    note(
        "disk",
        "an older copy, and the gateway restarted from it: healed forward once, and never back",
        seconds=took,
        bound_s=20,
    )


def test_an_agent_with_an_empty_disk_is_enrolled_anew_and_gets_all_that_its_cluster_serves(
    stack: Stack, api: httpx2.Client, publish: Publish
) -> None:
    agent, withdrawn = stack.agents[2], stack.draft(api)
    publish.run("publish")
    withdrawn.run("publish")
    withdrawn.run("withdraw", reason="before the disk is lost")
    ends = {publish: "PUBLISHED", withdrawn: "WITHDRAWN"}
    with watched(stack, *ends, agents=[agent]) as statuses:
        with stack.stopped(agent, f"gateway-{agent}"):
            backups.enrol_anew(stack, agent)
            began = time.monotonic()
        took = all_agree(stack, ends, since=began, within_s=20)
    assert 200 not in statuses[withdrawn.id]
    assert in_turn(statuses[publish.id])[-1] == 200
    withdrawn.clean_up()
    note(
        "disk",
        "empty: enrolled anew, filled by its first heartbeat; nothing withdrawn was served",
        seconds=took,
        bound_s=20,
    )


def test_a_control_plane_from_an_old_dump_sounds_alarms_removes_nothing_and_is_adopted(
    stack: Stack, api: httpx2.Client, publish: Publish, tmp_path: Path
) -> None:
    returned, withdrawn, operator = publish, stack.draft(api), operators_browser(stack)
    returned.run("publish")
    withdrawn.run("publish")
    assert "PUBLISHED" in page_of(stack, returned)  # signed in before the dump, so the session is in it
    dumped = backups.dump(stack, tmp_path / "dump")
    returned.run("withdraw", reason="after the dump")
    returned.run("publish")
    withdrawn.run("withdraw", reason="after the dump")
    unknown = stack.draft(api)
    unknown.run("publish")
    expected = {
        ("generation_ahead", returned.id, 3, "live"),
        ("generation_ahead", withdrawn.id, 2, "withdrawn"),
        ("unknown_publish", unknown.id, 1, "live"),
    }

    with watched(stack, returned, withdrawn, unknown, agents=stack.agents) as statuses:
        began = time.monotonic()
        backups.restore(stack, dumped)
        eventually(
            lambda: (
                set(stack.rows(OPEN_ALARMS))
                == {(*alarm, agent) for alarm in expected for agent in stack.agents}
            ),
            within_s=45,
        )
        reported_after_s = time.monotonic() - began
        for frozen in (returned, withdrawn):
            refused = frozen.ask("withdraw", reason="while it is frozen")
            assert (refused.status_code, refused.json()["code"]) == (409, "generation_ahead")
            assert "Nothing is changed anywhere until an operator has adopted it" in page_of(stack, frozen)
        since = time.time()
        eventually(lambda: all_have_beaten(stack, since=since), within_s=30)
        adopted = time.monotonic()
        act(operator, "adopt_as_carried", alarms_of(stack, returned, withdrawn))
        took = all_agree(stack, {returned: "PUBLISHED", withdrawn: "WITHDRAWN"}, since=adopted, within_s=20)
    assert {restored: in_turn(statuses[restored.id]) for restored in (returned, withdrawn, unknown)} == {
        returned: [200],
        withdrawn: [410],
        unknown: [200],
    }
    note(
        "dump",
        "the control plane from an old dump: every agent's alarms, nothing removed, every verb refused",
        seconds=reported_after_s,
        bound_s=45,
    )
    note(
        "dump",
        "adopted in the admin: in step again by a higher generation, callers noticed nothing",
        seconds=took,
        bound_s=20,
    )

    act(operator, "take_off", alarms_of(stack, unknown))
    began = time.monotonic()
    eventually(
        lambda: (
            {stack.at_gateway(unknown.host, "/billing", agent=agent).status_code for agent in stack.agents}
            == {404}
        ),
        within_s=30,
    )
    eventually(lambda: not stack.rows(OPEN_ALARMS), within_s=15)
    note(
        "dump", "the unknown publish, taken off by an operator", seconds=time.monotonic() - began, bound_s=30
    )
    withdrawn.clean_up()


def operators_browser(stack: Stack) -> Browser:
    """The operator, signed in to the admin."""
    return Browser.signed_in(stack.facts["web_url"], stack.facts["operator"], at="/admin/")


def alarms_of(stack: Stack, *publishes: Publish) -> list[str]:
    rows = stack.rows(
        "SELECT id::text FROM publishes_alarm WHERE closed_at IS NULL AND publish_ref = ANY(%s::uuid[])",
        [publish.id for publish in publishes],
    )
    return [alarm for (alarm,) in rows]


def act(operator: Browser, action: str, alarms: list[str]) -> None:
    """Choose an action for these alarms in their list."""
    path = "/admin/publishes/alarm/"
    answer = operator.send(path, form_path=path, action=action, _selected_action=alarms)
    assert answer.status_code == 200, answer.text


def all_have_beaten(stack: Stack, *, since: float) -> bool:
    query = (
        "SELECT count(*) FROM clusters_agentliveness liveness"
        " JOIN clusters_agent agent ON agent.id = liveness.agent_id"
        " WHERE last_seen_at > to_timestamp(%s)"
    )
    return stack.rows(f"{query} AND agent.name = ANY(%s)", since, stack.agents) == [(len(stack.agents),)]
