"""Two people at the same instant, and ten agents that are frozen at the same time."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.faults.agreement import agree
from tests.faults.publish import Publish
from tests.faults.stack import Stack, eventually
from tests.faults.table import note


def test_f15_publish_and_delete_at_the_same_instant_one_wins_and_the_other_gets_a_sentence(
    stack: Stack, publish: Publish
) -> None:
    publish.run("publish")
    publish.run("withdraw", reason="so that both are possible")
    began = time.monotonic()
    with stack.api() as first_api, stack.api() as second_api, ThreadPoolExecutor(2) as pool:
        clicks = [
            pool.submit(Publish(first_api, publish.id, publish.host).ask, "publish"),
            pool.submit(Publish(second_api, publish.id, publish.host).ask, "delete"),
        ]
        answers = [click.result() for click in clicks]
    assert sorted(answer.status_code for answer in answers) == [202, 409]
    loser = next(answer for answer in answers if answer.status_code == 409)
    assert len(loser.json()["detail"]) > 20
    kinds = stack.rows(
        "SELECT kind FROM publishes_operation WHERE publish_id = %s ORDER BY generation", publish.id
    )
    assert len(kinds) == 3
    took = 0.0
    if kinds[-1] == ("publish",):
        took = agree(stack, publish, "PUBLISHED", within_s=10, since=began)
    else:
        eventually(lambda: publish.api.get(publish.path).status_code == 404, within_s=10)
        took = time.monotonic() - began
    note(
        "F15",
        f"{kinds[-1][0]} won, the other: 409 '{loser.json()['detail'][:50]}…'; one history entry",
        seconds=took,
    )


@pytest.mark.long
def test_ten_frozen_agents_at_once_do_not_delay_the_others(
    stack: Stack, api: httpx2.Client, publish: Publish
) -> None:
    cluster = next(cluster for cluster in stack.facts["clusters"] if cluster["name"] == "kr-dev")
    with socket.create_server(
        ("127.0.0.1", 0), backlog=256
    ) as silent:  # takes connections, as a frozen process does, and never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        names = [f"frozen-{n}" for n in range(10)]
        enrol_on_paper(stack, cluster["id"], names, url=url)
        publish.run("publish")
        publish.run("withdraw", reason="so that everything was imported once")
        stuck = stack.draft(api, cluster_id=cluster["id"], gateway_id=cluster["gateways"][0]["id"])
        began = time.monotonic()
        assert stuck.ask("publish").status_code == 202
        took = []
        for _round in range(3):
            started = time.monotonic()
            publish.run("publish", within_s=30)
            took.append(time.monotonic() - started)
            publish.run("withdraw", reason="again", within_s=30)
            time.sleep(1)
        assert time.monotonic() - began > 2
    stack.django(
        "from clusters.models import Agent; Agent.objects.filter(name__startswith='frozen-').delete()"
    )
    note(
        "10 ×",
        "ten agents frozen in a push: the slowest of three publishes beside them",
        seconds=max(took),
        bound_s=3,
    )
    assert max(took) <= 3


def enrol_on_paper(stack: Stack, cluster_id: str, names: list[str], *, url: str) -> None:
    """Agents that were heard of a moment ago, and will never answer."""
    stack.django(f"""
from datetime import timedelta
from django.utils import timezone
from clusters.models import Agent, AgentLiveness
for name in {names!r}:
    agent = Agent.objects.create(cluster_id="{cluster_id}", name=name, driver="envoy", url="{url}")
    last_seen_at = timezone.now() + timedelta(minutes=10)
    AgentLiveness.objects.create(agent=agent, last_seen_at=last_seen_at, gateway_ok=True)
""")
