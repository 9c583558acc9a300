"""The agents' door over HTTP: enrolment, signed requests, sealed answers, and who is kept out."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from agent.protocol import messages as m
from agent.protocol.signing import (
    CONTROL_PLANE,
    Key,
    Purpose,
    import_key,
    key_id,
    new_key,
    prove_request,
    public_jwk,
    seal,
    unseal,
)
from agent.protocol.spec import State, fingerprint
from agent.protocol.version import PROGRAM_VERSION
from clusters import agent_keys, keys
from clusters.models import Agent, AgentKey, AgentLiveness, EnrolmentCode, UsedRequest
from clusters.services import create_enrolment_code
from core.problems import Invalid
from publishes.models import ProductPublish
from publishes.verbs import publishing
from tests.enrolment import enrol_request, opened_code, signed_enrol, signed_post
from tests.world import Voice, World

BEAT = m.Heartbeat(
    agent_version=PROGRAM_VERSION,
    driver="envoy",
    fingerprint=fingerprint([]),
    gateway_ok=True,
    proxy_url="http://127.0.0.1:9000",
    reserved=("127.0.0.1:9901",),
)


def say(voice: Voice, path: str, message: Any, **how: Any) -> tuple[Any, str]:
    """Send as this agent; returns the response and what was in the sealed answer."""
    response, proof = signed_post(
        Client(), path, message, key=how.pop("key", voice.key), agent_id=str(voice.agent.pk), **how
    )
    if response.status_code != 200:
        return response, ""
    opened = unseal(
        response.content.decode(),
        keys.signing_keys(),
        purpose=Purpose.ANSWER,
        issuer=CONTROL_PLANE,
        audience=str(voice.agent.pk),
        answers=proof.id,
    )
    return response, opened.body


def test_two_agents_have_no_key_together(world: World) -> None:
    """Neither by enrolment, whose code stays good, nor as a next key.

    An agent that is enrolled anew may bring its own again.
    """
    voice, code = world.agents[0], create_enrolment_code(world.cluster, agent_name="busan-9")
    refused, _proof = signed_enrol(
        Client(headers={"Accept-Language": "en"}), enrol_request(code, key=voice.key), key=voice.key
    )
    assert (refused.status_code, refused.json()["code"]) == (422, "agent_key")
    assert "another agent" in refused.json()["detail"]
    other = world.agents[1].agent
    proof = seal(voice.key, "", purpose=Purpose.NEW_KEY, audience=CONTROL_PLANE, issuer=str(other.pk)).token
    with pytest.raises(Invalid):
        agent_keys.register(other, m.NewKey(public_key=public_jwk(voice.key), proof=proof))
    assert list(
        AgentKey.objects.accepted().filter(public_jwk=public_jwk(voice.key)).values_list("agent", flat=True)
    ) == [voice.agent.pk]
    key = new_key()
    assert signed_enrol(Client(), enrol_request(code, key=key), key=key)[0].status_code == 200
    again = create_enrolment_code(world.cluster, agent_name="busan-1")
    assert signed_enrol(Client(), enrol_request(again, key=voice.key), key=voice.key)[0].status_code == 200


def test_a_code_makes_an_agent_whose_key_is_pinned_both_ways(world: World) -> None:
    code, key = create_enrolment_code(world.cluster, agent_name="busan-9"), new_key()
    content = opened_code(code)
    assert (content["url"], content["fingerprint"]) == (settings.PUBLIC_URL, key_id(keys.signing_key()))

    response, proof = signed_enrol(Client(), enrol_request(code, key=key), key=key)
    assert response.status_code == 200
    opened = unseal(
        response.content.decode(),
        keys.signing_keys(),
        purpose=Purpose.ANSWER,
        issuer=CONTROL_PLANE,
        audience="enrolment",
        answers=proof.id,
    )
    answer = m.EnrolAnswer.model_validate_json(opened.body)
    agent = Agent.objects.get(name="busan-9")
    assert (answer.agent_id, answer.cluster) == (agent.pk, "acme-kr")
    assert [key_id(import_key(jwk)) for jwk in answer.control_plane_keys] == [content["fingerprint"]]
    assert (agent.driver, agent.url) == ("envoy", "http://127.0.0.1:9")


def test_only_the_codes_hash_is_kept(world: World) -> None:
    code = create_enrolment_code(world.cluster, agent_name="busan-9")
    stored_row = str(EnrolmentCode.objects.values().get())
    assert opened_code(code)["secret"] not in stored_row


@pytest.mark.parametrize(
    "change", [{"consumed_at": timezone.now()}, {"expires_at": timezone.now() - timedelta(seconds=1)}]
)
def test_a_used_or_expired_code_is_refused_in_words(world: World, change: dict[str, Any]) -> None:
    code, key = create_enrolment_code(world.cluster, agent_name="busan-9"), new_key()
    EnrolmentCode.objects.update(**change)
    response, _proof = signed_enrol(
        Client(headers={"Accept-Language": "en"}), enrol_request(code, key=key), key=key
    )
    assert (response.status_code, response.json()["code"]) == (403, "enrolment_refused")
    assert Agent.objects.get(name="busan-9").driver == ""
    assert not AgentKey.objects.filter(agent__name="busan-9").exists()


def test_a_code_is_not_used_up_by_a_key_that_was_not_proved(world: World) -> None:
    code = create_enrolment_code(world.cluster, agent_name="busan-9")
    response, _proof = signed_enrol(Client(), enrol_request(code, key=new_key()), key=new_key())
    assert response.status_code == 401
    assert EnrolmentCode.objects.get().consumed_at is None


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1:80",
        "https://8.8.8.8",
        "ftp://127.0.0.1",
        "http://no-such-host.invalid",
        "http://127.0.0.1:x",
    ],
)
def test_an_inbound_url_outside_what_operators_allow_is_refused_and_the_code_stays_good(
    world: World, url: str
) -> None:
    code, key = create_enrolment_code(world.cluster, agent_name="busan-9"), new_key()
    response, _proof = signed_enrol(Client(), enrol_request(code, key=key, url=url), key=key)
    assert (response.status_code, response.json()["code"]) == (422, "agent_url")
    assert EnrolmentCode.objects.get().consumed_at is None


def test_enrolling_an_existing_name_ends_its_old_key_when_the_code_is_used(world: World) -> None:
    voice = world.agents[0]
    code, key = create_enrolment_code(world.cluster, agent_name="busan-1"), new_key()
    assert say(voice, m.PATH_HEARTBEAT, BEAT)[0].status_code == 200
    signed_enrol(Client(), enrol_request(code, key=key), key=key)
    assert say(voice, m.PATH_HEARTBEAT, BEAT)[0].status_code == 401
    assert say(voice, m.PATH_HEARTBEAT, BEAT, key=key)[0].status_code == 200
    assert Agent.objects.filter(name="busan-1").count() == 1


def test_a_heartbeat_is_noted_and_answered(world: World) -> None:
    voice = world.add_agent("busan-3", connected=False)
    _response, body = say(voice, m.PATH_HEARTBEAT, BEAT)
    assert m.HeartbeatAnswer.model_validate_json(body) == m.HeartbeatAnswer(interval_ms=10_000, report=False)
    noted = AgentLiveness.objects.get(agent=voice.agent)
    assert (noted.gateway_ok, noted.proxy_url, noted.reserved) == (
        True,
        "http://127.0.0.1:9000",
        ["127.0.0.1:9901"],
    )
    assert abs((timezone.now() - noted.last_seen_at).total_seconds()) < 5


def test_a_heartbeat_that_carries_what_is_expected_need_not_report(world: World) -> None:
    first, second = world.published(), world.published(hostname_base="two.localhost")
    carried = [(publish.pk, publish.generation, publish.desired_digest) for publish in (first, second)]
    for reported, wants in ((carried, False), (carried[:1], True), ([], True)):
        _response, body = say(
            world.agents[0], m.PATH_HEARTBEAT, BEAT.model_copy(update={"fingerprint": fingerprint(reported)})
        )
        assert m.HeartbeatAnswer.model_validate_json(body).report is wants


def test_an_agent_without_any_push_converges_by_its_heartbeats(world: World) -> None:
    world.agents[1].agent.delete()
    voice = world.agents[0]
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)

    _r, beat = say(voice, m.PATH_HEARTBEAT, BEAT)
    assert m.HeartbeatAnswer.model_validate_json(beat).report is True
    _r, report = say(voice, m.PATH_REPORT, m.Report(carried=()))
    publish_ids = m.ReportAnswer.model_validate_json(report).wanted
    assert publish_ids == (publish.pk,)
    _r, specs = say(voice, m.PATH_SPECS, m.SpecsRequest(publish_ids=publish_ids))
    answer = m.SpecsAnswer.model_validate_json(specs)
    (item,) = answer.items
    assert (item.spec.state, item.spec.host, answer.upstream_networks) == (
        State.LIVE,
        "payment-api.dev.kr-seoul.localhost",
        ("127.0.0.0/8",),
    )
    result = voice.result(item.spec, m.Outcome.VERIFIED, token=item.token)
    assert say(voice, m.PATH_RESULTS, m.Results(results=(result,)))[0].status_code == 200
    assert ProductPublish.objects.get().status == "PUBLISHED"


@pytest.mark.parametrize(
    "path", [m.PATH_HEARTBEAT, m.PATH_REPORT, m.PATH_SPECS, m.PATH_RESULTS, m.PATH_KEYS_LET_IN]
)
def test_who_cannot_be_believed_is_401(world: World, other: World, path: str) -> None:
    voice = world.agents[0]
    messages: dict[str, Any] = {
        m.PATH_HEARTBEAT: BEAT,
        m.PATH_REPORT: m.Report(carried=()),
        m.PATH_SPECS: m.SpecsRequest(publish_ids=()),
        m.PATH_RESULTS: m.Results(results=()),
        m.PATH_KEYS_LET_IN: m.KeysLetIn(publishes=()),
    }
    message = messages[path]
    assert Client().post(path, "{}", content_type="application/json").status_code == 401
    assert say(voice, path, message, key=new_key())[0].status_code == 401
    assert say(voice, path, message, key=other.agents[0].key)[0].status_code == 401
    assert say(voice, path, message, now=time.time() - 200)[0].status_code == 401
    assert say(voice, path, message, now=time.time() + 200)[0].status_code == 401
    assert say(voice, path, message, now=time.time() - 60)[0].status_code == 200

    AgentKey.objects.filter(agent=voice.agent).update(revoked_at=timezone.now())
    assert say(voice, path, message)[0].status_code == 401


def test_a_blocked_agent_is_out_at_its_next_request(world: World) -> None:
    voice = world.agents[0]
    Agent.objects.filter(pk=voice.agent.pk).update(blocked_at=timezone.now())
    assert say(voice, m.PATH_HEARTBEAT, BEAT)[0].status_code == 401


def test_a_request_is_accepted_once_and_only_as_it_was_signed(world: World) -> None:
    voice = world.agents[0]
    body = BEAT.model_dump_json()
    _first, proof = signed_post(Client(), m.PATH_HEARTBEAT, BEAT, key=voice.key, agent_id=str(voice.agent.pk))
    header = {"Authorization": f"Imp {proof.token}"}
    assert (
        Client(headers=header).post(m.PATH_HEARTBEAT, body, content_type="application/json").status_code
        == 401
    )
    assert UsedRequest.objects.count() == 1

    fresh = signed(voice.key, voice, m.PATH_REPORT, body)
    assert (
        Client(headers=fresh).post(m.PATH_HEARTBEAT, body, content_type="application/json").status_code == 401
    )
    fresh = signed(voice.key, voice, m.PATH_HEARTBEAT, body)
    assert (
        Client(headers=fresh).post(m.PATH_HEARTBEAT, body + " ", content_type="application/json").status_code
        == 401
    )
    assert UsedRequest.objects.count() == 1


def signed(key: Key, voice: Voice, path: str, body: str) -> dict[str, str]:
    proof = prove_request(
        key, agent_id=str(voice.agent.pk), method="POST", url=settings.PUBLIC_URL + path, body=body.encode()
    )
    return {"Authorization": f"Imp {proof.token}"}


def test_a_message_that_is_not_the_protocols_is_422_in_words(world: World) -> None:
    voice = world.agents[0]
    response, _proof = signed_post(
        Client(), m.PATH_HEARTBEAT, m.Results(results=()), key=voice.key, agent_id=str(voice.agent.pk)
    )
    assert (response.status_code, response.json()["code"]) == (422, "malformed")
    assert "fingerprint" in response.json()["detail"]


@pytest.mark.parametrize("publishes", [1, 50])
def test_a_heartbeat_costs_two_queries_whatever_the_cluster_carries(
    world: World, publishes: int, django_assert_num_queries: Any
) -> None:
    for number in range(publishes):
        world.published(hostname_base=f"n{number}.localhost")
    authentication = 4  # the key, and the used id in a savepoint of its own
    with django_assert_num_queries(authentication + 2):
        say(world.agents[0], m.PATH_HEARTBEAT, BEAT)
