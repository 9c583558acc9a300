"""Keys of both sides: rotated without downtime, revoked at once, replays refused; wrong clocks are named."""

import re
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from agent.config import Identity
from agent.control_plane import client as control_plane
from agent.control_plane import keys as agents_own_keys
from agent.control_plane.client import ControlPlaneFailed
from agent.protocol import messages as m
from agent.protocol.signing import CONTROL_PLANE, Key, Purpose, key_id, new_key, public_jwk, seal
from clusters import agent_keys, client, keys
from clusters.models import Agent, AgentEvent, AgentKey, AgentLiveness
from publishes import sweeping
from publishes.choices import Phase
from publishes.engine import delivery
from publishes.models import Delivery
from publishes.verbs import publishing
from tenants.models import User
from tests.program import Program
from tests.publishes.agent_api.test_agent_door import BEAT, say
from tests.world import World


@pytest.fixture
def program(world: World, tmp_path: Path) -> Program:
    return Program(world.agents[0], tmp_path / "one")


def events() -> list[str]:
    return list(AgentEvent.objects.order_by("id").values_list("kind", flat=True))


def live_keys(agent: Agent) -> int:
    return AgentKey.objects.accepted().filter(agent=agent).count()


def test_a_new_key_comes_into_use_without_a_moment_in_which_none_works(
    world: World, program: Program
) -> None:
    agent, old = program.voice.agent, program.voice.key
    agent_keys.request_new(agent, by="operator")
    assert program.beat().new_key is True
    new = program.control_plane.identity.key
    assert key_id(new) != key_id(old)
    assert [key_id(identity.key) for identity in program.remembered] == [key_id(new)]
    assert live_keys(agent) == 2
    assert say(program.voice, m.PATH_HEARTBEAT, BEAT, key=old)[0].status_code == 200

    assert program.beat().new_key is False
    assert say(program.voice, m.PATH_HEARTBEAT, BEAT, key=old)[0].status_code == 200
    ended = AgentKey.objects.filter(agent=agent).order_by("created_at")[0].revoked_at
    assert ended is not None
    assert 50 < (ended - timezone.now()).total_seconds() <= 60
    AgentKey.objects.filter(agent=agent, revoked_at__isnull=False).update(revoked_at=timezone.now())
    assert say(program.voice, m.PATH_HEARTBEAT, BEAT, key=old)[0].status_code == 401
    assert program.beat().new_key is False
    assert events() == ["key_asked", "key_changed"]


def test_a_program_killed_before_its_new_key_is_on_the_disk_goes_on_with_the_old_one(
    world: World, program: Program
) -> None:
    agent = program.voice.agent

    def full_disk(_identity: Identity) -> None:
        raise OSError(28, "No space left on device")

    agent_keys.request_new(agent, by="operator")
    answer = program.control_plane.heartbeat(BEAT)
    for _ in range(3):
        with pytest.raises(OSError, match="No space left"):
            agents_own_keys.follow(program.control_plane, answer, remember=full_disk)
    assert program.control_plane.identity.key is program.voice.key
    assert live_keys(agent) == 2
    program.beat()
    program.beat()
    assert (live_keys(agent), program.beat().new_key) == (2, False)
    assert AgentKey.objects.filter(agent=agent, revoked_at=None).count() == 1


def test_a_key_whose_private_half_was_not_shown_is_refused(world: World, program: Program) -> None:
    mine, stolen = new_key(), new_key()
    proof = seal(
        mine, "", purpose=Purpose.NEW_KEY, issuer=str(program.voice.agent.pk), audience=CONTROL_PLANE
    )
    response, _body = say(
        program.voice, m.PATH_KEY, m.NewKey(public_key=public_jwk(stolen), proof=proof.token)
    )
    assert (response.status_code, response.json()["code"]) == (422, "agent_key")
    assert live_keys(program.voice.agent) == 1


def test_a_replaced_key_that_is_still_accepted_becomes_no_other_agents(
    world: World, program: Program
) -> None:
    old, other = program.voice.key, world.agents[1]
    agent_keys.request_new(program.voice.agent, by="operator")
    for _ in range(2):
        program.beat()
    proof = seal(old, "", purpose=Purpose.NEW_KEY, issuer=str(other.agent.pk), audience=CONTROL_PLANE)
    response, _body = say(other, m.PATH_KEY, m.NewKey(public_key=public_jwk(old), proof=proof.token))
    assert (response.status_code, response.json()["code"]) == (422, "agent_key")
    assert (live_keys(program.voice.agent), live_keys(other.agent)) == (2, 1)


def test_old_keys_are_asked_for_by_themselves(world: World, settings: Settings) -> None:
    AgentKey.objects.filter(agent=world.agents[0].agent).update(
        created_at=timezone.now() - timedelta(days=91)
    )
    settings.AGENT_KEY_DAYS = 0
    sweeping.tidy()
    assert not Agent.objects.filter(key_asked_at__isnull=False).exists()
    settings.AGENT_KEY_DAYS = 90
    sweeping.tidy()
    assert [agent.name for agent in Agent.objects.filter(key_asked_at__isnull=False)] == ["busan-1"]


def test_a_revoked_key_is_refused_at_its_next_request_and_an_answer_under_it_is_not_believed(
    world: World, program: Program
) -> None:
    program.beat()
    key = AgentKey.objects.get(agent=program.voice.agent)
    operator = Client()
    operator.force_login(
        User.objects.create_superuser("operator"), "django.contrib.auth.backends.ModelBackend"
    )
    operator.post(
        reverse("admin:clusters_agentkey_changelist"),
        {"action": "revoke", "confirmed": "yes", "_selected_action": [str(key.pk)]},
    )
    with pytest.raises(ControlPlaneFailed, match="revoked, or never enrolled") as refusal:
        program.beat()
    assert refusal.value.status == 401
    assert list(program.voice.agent.keys.accepted()) == []
    assert events()[-1] == "key_revoked"


@pytest.fixture
def signing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what SIGNING_KEY_FILE holds, as after a restart of the control plane."""
    return lambda *key_ring: monkeypatch.setattr(keys, "signing_keys", lambda: key_ring)


def test_the_control_planes_own_key_changes_while_agents_go_on(
    world: World, program: Program, signing: Callable[..., None]
) -> None:
    old, new = keys.signing_key(), new_key()

    def pinned() -> list[Key]:
        return [*program.control_plane.identity.control_plane_keys]

    for key_ring in ((old,), (old, new), (new, old), (new,)):
        signing(*key_ring)
        program.beat()
        assert {key_id(key) for key in pinned()} == {key_id(key) for key in key_ring}
        assert program.beat().control_plane_keys == ()
        assert AgentLiveness.objects.get(agent=program.voice.agent).pinned == keys.current_set()
    assert len(program.remembered) == 2


def test_an_agent_that_was_away_through_the_whole_change_says_whom_it_does_not_know(
    world: World, program: Program, signing: Callable[..., None]
) -> None:
    program.beat()
    signing(new_key())
    with pytest.raises(ControlPlaneFailed, match="a key that is not known here"):
        program.beat()
    assert program.remembered == []


def test_an_old_answer_is_not_believed_again(
    world: World, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[str] = []
    usual = control_plane.post

    def replayed(*args: Any, **kwargs: Any) -> str:
        answers.append(usual(*args, **kwargs))
        return answers[0]

    monkeypatch.setattr(control_plane, "post", replayed)
    program.beat()
    with pytest.raises(ControlPlaneFailed, match="answers another request"):
        program.beat()


@pytest.mark.parametrize(
    ("ahead", "message"),
    [
        (75, "The sender's clock is 7[0-5] s ahead of ours; set both clocks by NTP."),
        (-200, "The message expired 1[67][0-9] s ago"),
    ],
)
def test_a_clock_that_is_off_is_named_to_both_sides_and_written_down_once(
    world: World, ahead: int, message: str
) -> None:
    voice = world.agents[0]
    for _ in range(2):
        response, _body = say(voice, m.PATH_HEARTBEAT, BEAT, now=time.time() + ahead)
        assert response.status_code == 401
    assert response.json()["detail"].startswith("The ")
    (event,) = AgentEvent.objects.all()
    assert (event.kind, event.agent_name) == ("refused", "busan-1")
    assert re.match(message, event.message), event.message


@pytest.mark.parametrize("ahead", [55, -55])
def test_a_minute_is_tolerated(world: World, ahead: int) -> None:
    assert say(world.agents[0], m.PATH_HEARTBEAT, BEAT, now=time.time() + ahead)[0].status_code == 200
    assert events() == []


def test_a_stranger_with_a_wrong_clock_leaves_no_trace(world: World) -> None:
    assert (
        say(world.agents[0], m.PATH_HEARTBEAT, BEAT, key=new_key(), now=time.time() + 75)[0].status_code
        == 401
    )
    assert events() == []


def test_an_agent_of_a_protocol_that_is_no_longer_spoken_is_told_so_and_shown_so(
    world: World, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusters.services.OLDEST", 2)
    monkeypatch.setattr("clusters.errors.OLDEST", 2)
    monkeypatch.setattr("clusters.errors.VERSION", 3)
    with pytest.raises(
        ControlPlaneFailed, match=r"uses protocol 1; the control plane needs 2 to 3. Update the agent."
    ) as refusal:
        program.beat(protocol=1)
    assert refusal.value.code == "protocol_unsupported"
    liveness_row = AgentLiveness.objects.get(agent=program.voice.agent)
    assert (liveness_row.gateway_ok, liveness_row.protocol) == (False, 1)
    assert "Update the agent." in liveness_row.gateway_error
    program.beat(protocol=2)
    assert AgentLiveness.objects.get(agent=program.voice.agent).gateway_ok is True


def test_a_control_plane_of_a_protocol_that_is_no_longer_spoken_is_named_by_the_agent(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.control_plane.client.OLDEST", 2)
    with pytest.raises(ControlPlaneFailed, match="update the control plane, or run an older agent"):
        program.beat()


@pytest.mark.parametrize(("theirs", "expected"), [(1, 1), (3, 3), (9, 3)])
def test_commands_speak_the_newest_protocol_that_both_sides_know(
    world: World, monkeypatch: pytest.MonkeyPatch, theirs: int, expected: int
) -> None:
    monkeypatch.setattr("publishes.engine.delivery.VERSION", 3)
    AgentLiveness.objects.update(protocol=theirs)
    commands: list[Any] = []

    def send(_agent: Agent, command: m.Command) -> m.CommandAnswer:
        commands.append(command)
        return m.CommandAnswer(results=())

    monkeypatch.setattr(client, "send", send)
    publishing.request_publish(world.actor, world.draft().pk)
    delivery.deliver(world.agents[0].agent.pk)
    assert [command.protocol for command in commands] == [expected]


def test_agents_refuse_what_the_control_plane_reserves_for_itself(
    world: World, program: Program, settings: Settings
) -> None:
    publishing.request_publish(world.actor, world.draft().pk)
    settings.RESERVED_ENDPOINTS = ["127.0.0.1:8081"]
    program.beat()
    row = Delivery.objects.get(agent=program.voice.agent, operation__generation=1)
    assert (row.code, row.step) == ("reserved", "fence")
    assert program.store.reserved == ("127.0.0.1:8081",)
    assert program.serves() == {}
    assert row.phase == Phase.FAILED
