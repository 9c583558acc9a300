"""The agent's server over real HTTP: accepted and refused commands, answers, and callers that do not wait."""

import socket

import httpx2
import pytest

from agent.protocol import messages, signing
from agent.protocol.messages import Outcome
from agent.serving.server import ReplayGuard
from tests.agent.doubles import live, until
from tests.agent.running import Running


def test_a_command_is_answered_with_a_sealed_result_per_item(agent: Running) -> None:
    specs = [live(), live()]
    sealed = agent.seal(*specs)
    response = agent.post(sealed.token)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/jose")
    results = agent.double.open_answer(agent.me, response.text, answers=sealed.id)
    assert [(result.publish_id, result.outcome) for result in results] == [
        (spec.publish_id, Outcome.VERIFIED) for spec in specs
    ]


def test_a_command_is_taken_once(agent: Running) -> None:
    sealed = agent.seal(live())
    assert agent.post(sealed.token).status_code == 200
    again = agent.post(sealed.token)
    assert (again.status_code, again.json()["code"], again.headers["content-type"]) == (
        409,
        "replayed",
        "application/problem+json",
    )
    assert len(agent.gateway.changes) == 1


def test_an_id_is_remembered_as_long_as_its_seal_can_be_believed() -> None:
    now = [1_000.0]
    guard = ReplayGuard(clock=lambda: now[0])
    assert guard.take("a", expires_at=1_030)
    now[0] = 1_030 + signing.SKEW_S
    assert not guard.take("a", expires_at=1_030)
    now[0] += 2
    assert guard.take("b", expires_at=1_200)
    assert set(guard._until) == {"b"}


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"audience": "somebody-else"}, 401, "bad_seal"),
        ({"issuer": "somebody-else"}, 401, "bad_seal"),
        ({"purpose": signing.Purpose.ANSWER}, 401, "bad_seal"),
        ({"now": 1_000.0}, 401, "bad_seal"),
        ({"answers": "something"}, 401, "bad_seal"),
    ],
)
def test_a_command_with_a_wrong_seal_changes_nothing(
    agent: Running, change: dict[str, object], status: int, code: str
) -> None:
    fields = {
        "purpose": signing.Purpose.COMMAND,
        "issuer": signing.CONTROL_PLANE,
        "audience": str(agent.me.agent_id),
        **change,
    }
    command = messages.Command(items=(messages.Item(spec=live()),), upstream_networks=("127.0.0.0/8",))
    response = agent.post(signing.seal(agent.double.key, command.model_dump_json(), **fields).token)  # type: ignore[arg-type]
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert (agent.gateway.changes, dict(agent.store.records)) == ([], {})


def test_a_stranger_s_key_gets_nobody_in(agent: Running) -> None:
    command = messages.Command(items=(messages.Item(spec=live()),), upstream_networks=("127.0.0.0/8",))
    sealed = signing.seal(
        signing.new_key(),
        command.model_dump_json(),
        purpose=signing.Purpose.COMMAND,
        issuer="control-plane",
        audience=str(agent.me.agent_id),
    )
    assert agent.post(sealed.token).status_code == 401
    assert agent.gateway.changes == []


NEWER = '{"items": [], "upstream_networks": [], "protocol": 99}'


@pytest.mark.parametrize(
    "body", ["{}", "null", "nonsense", '{"items": [{}], "upstream_networks": []}', NEWER]
)
def test_a_well_sealed_but_malformed_command_is_a_400(agent: Running, body: str) -> None:
    sealed = signing.seal(
        agent.double.key,
        body,
        purpose=signing.Purpose.COMMAND,
        issuer="control-plane",
        audience=str(agent.me.agent_id),
    )
    response = agent.post(sealed.token)
    assert response.status_code == 400
    assert response.json()["code"] == ("protocol_unsupported" if body == NEWER else "malformed")


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 401), (b"a.b.c", 401), ("é".encode(), 400), (b"\xff\xfe", 400)]
)
def test_garbage_is_refused(agent: Running, body: bytes, status: int) -> None:
    assert agent.post(body).status_code == status


def test_other_paths_and_methods_are_refused(agent: Running) -> None:
    assert agent.post("x", "/").status_code == 404
    assert agent.post("x", "/v1/commands/").status_code == 404
    wrong = httpx2.get(agent.url + messages.PATH_COMMANDS, trust_env=False)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert agent.post("x", "/livez").status_code == 405
    alive = httpx2.get(agent.url + "/livez", trust_env=False)
    assert (alive.status_code, alive.text) == (200, "ok\n")


def test_a_body_over_the_limit_is_a_413(agent: Running) -> None:
    host, _, port = agent.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(
            b"POST /v1/commands HTTP/1.1\r\nhost: a\r\n"
            + f"content-length: {signing.SIZE_LIMIT + 1}\r\n\r\n".encode()
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_who_does_not_wait_gets_202_then_the_result(agent: Running) -> None:
    agent.gateway.apply_s = 0.3
    sealed = agent.seal(live(), answer_within_ms=50)
    response = agent.post(sealed.token)
    assert response.status_code == 202
    (working,) = agent.double.open_answer(agent.me, response.text, answers=sealed.id)
    assert (working.outcome, working.highest_generation) == (Outcome.WORKING, 0)
    (result,) = until(lambda: agent.double.results, description="the result was handed in")
    assert (result.outcome, result.delivery, result.token) == (
        Outcome.VERIFIED,
        working.delivery,
        working.token,
    )


def test_long_work_is_reported_as_going_on(agent: Running) -> None:
    agent.gateway.apply_s = 2.6
    agent.post(agent.seal(live(), answer_within_ms=10).token)
    outcomes = until(
        lambda: len(agent.double.results) > 1 and [result.outcome for result in agent.double.results],
        description="progress and result",
    )
    assert outcomes == [Outcome.WORKING, Outcome.VERIFIED]


def test_a_result_is_handed_in_when_the_control_plane_is_back(agent: Running) -> None:
    agent.gateway.apply_s = 0.2
    agent.double.broken = True
    agent.post(agent.seal(live(), answer_within_ms=10).token)
    until(lambda: agent.gateway.changes, description="it was applied")
    assert agent.double.results == []
    agent.double.broken = False
    assert until(lambda: agent.double.results, description="it was handed in")[0].outcome == Outcome.VERIFIED
