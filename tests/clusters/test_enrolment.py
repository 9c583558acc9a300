"""Enrolment by strangers: the code comes first; its cost and its answers are bounded."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

import fence
from agent.protocol.signing import new_key
from clusters import services
from clusters.models import AgentKey, EnrolmentCode
from clusters.services import create_enrolment_code
from fence.lookups import Bound, Lookups
from tenants.models import User
from tests.enrolment import enrol_request, signed_enrol
from tests.hang import Hang
from tests.pages import signed_in
from tests.world import World

UNKNOWN = "eyJzZWNyZXQiOiAieCJ9"


def enrol(code: str, *, address: str = "127.0.0.1", **changes: Any) -> Any:
    key = new_key()
    response, _proof = signed_enrol(
        Client(REMOTE_ADDR=address, headers={"Accept-Language": "en"}),
        enrol_request(code, key=key, **changes),
        key=key,
    )
    return response


def test_a_code_that_is_not_good_looks_up_no_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []
    monkeypatch.setattr(fence, "check", lambda host, *_around, **_keywords: looked_up.append(host))
    assert enrol(UNKNOWN, url="https://name.invalid").json()["code"] == "enrolment_refused"
    assert looked_up == []


def test_a_name_that_hangs_has_a_deadline_and_the_code_stays_good(
    world: World, monkeypatch: pytest.MonkeyPatch, hang: Hang
) -> None:
    def hanging(_host: str, _port: int) -> list[fence.Address]:
        hang.wait()
        return []

    monkeypatch.setattr(services, "LOOK_UP_S", 0.2)
    monkeypatch.setattr(services, "AGENTS", Lookups(hanging, bound=Bound(in_all=2, per_owner=2)))
    assert (
        enrol(create_enrolment_code(world.cluster, agent_name="busan-9"), url="https://name.invalid").json()[
            "code"
        ]
        == "agent_url"
    )
    assert hang.lasts
    assert EnrolmentCode.objects.get().consumed_at is None


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://10.9.8.7",
            "http://[",
            "http://127.0.0.1:99999",
        ),
        *("https://user:word@127.0.0.1:9", "http://localhost:x"),
    ],
)
def test_a_url_that_cannot_be_is_refused_without_what_was_found_out_about_it(
    world: World, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    refused = enrol(create_enrolment_code(world.cluster, agent_name="busan-9"), url=url)
    assert (refused.status_code, refused.json()["code"]) == (422, "agent_url")
    assert url not in refused.json()["detail"]


def test_the_answer_tells_no_address_of_a_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = fence.FenceRefused("not_allowed", "inner.name resolves to 203.0.113.7, which is outside.")

    def refuse(*_arguments: object, **_keywords: object) -> None:
        raise resolved

    monkeypatch.setattr(fence, "check", refuse)
    assert (
        "203.0.113.7"
        not in enrol(
            create_enrolment_code(world.cluster, agent_name="busan-9"), url="https://inner.name"
        ).content.decode()
    )


def test_codes_that_fail_are_counted_for_each_address_and_good_ones_pass_elsewhere(world: World) -> None:
    statuses = [enrol(UNKNOWN).status_code for _number in range(2 * services.FAILURES_A_MINUTE + 1)]
    refused = next(number for number, status in enumerate(statuses) if status == 429)
    assert refused >= services.FAILURES_A_MINUTE
    assert set(statuses[:refused]) == {403}
    last = enrol(UNKNOWN)
    assert (last.status_code, last.json()["code"]) == (429, "too_many_failures")
    assert 0 < int(last.headers["Retry-After"]) <= 60
    code = create_enrolment_code(world.cluster, agent_name="busan-9")
    assert enrol(code).status_code == 429
    assert enrol(code, address="127.0.0.2").status_code == 200


def test_another_agents_key_is_not_taken(world: World) -> None:
    key = new_key()
    for name, status in (("busan-8", 200), ("busan-9", 422)):
        response, _proof = signed_enrol(
            Client(), enrol_request(create_enrolment_code(world.cluster, agent_name=name), key=key), key=key
        )
        assert response.status_code == status
    assert AgentKey.objects.filter(agent__name="busan-9").count() == 0
    assert EnrolmentCode.objects.get(agent__name="busan-9").consumed_at is None


def test_the_admin_shows_a_code_in_the_answer_to_the_click_and_nowhere_else(world: World) -> None:
    operator = signed_in(User.objects.create_superuser("operator"))
    agents = [str(voice.agent.pk) for voice in world.agents]
    chosen = {"action": "make_enrolment_code", "index": 0, "_selected_action": agents}
    answer = operator.post(reverse("admin:clusters_agent_changelist"), chosen)
    text = answer.content.decode()
    assert answer.status_code == 200
    assert text.count("eyJ") == 2
    assert all(voice.agent.name in text for voice in world.agents)
    assert "no-store" in answer.headers["Cache-Control"]
    assert "messages" not in answer.cookies
    assert "eyJ" not in operator.get(reverse("admin:clusters_agent_changelist")).content.decode()


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("https://10.0.0.1:9000", ""),
        ("http://127.0.0.1:9000", ""),
        ("http://10.0.0.1:9000", "http is only for loopback"),
    ],
)
def test_commands_go_over_http_to_loopback_alone(settings: Settings, url: str, fault: str) -> None:
    settings.AGENT_NETWORKS = ["10.0.0.0/8", "127.0.0.0/8"]
    assert services._url_fault(url) == fault
