"""The only socket to an agent: what it sends, what it believes, and how long it waits."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.utils.translation import override
from pytest_django import Settings

from agent.protocol.messages import Command, CommandAnswer
from agent.protocol.signing import CONTROL_PLANE, Purpose, new_key, seal, unseal
from clusters import client, keys
from clusters.errors import AgentSilentError
from clusters.models import Agent
from publishes.reading.texts.sentences import translated
from tests.hang import Hang
from tests.names import hanging
from tests.world import Voice, World

COMMAND = Command(items=(), upstream_networks=())
Answer = Callable[[BaseHTTPRequestHandler, str], None]


class FakeAgent:
    """An HTTP server that answers as a test says."""

    def __init__(self) -> None:
        self.answer: Answer = lambda handler, _body: reply(handler, 500, "")
        self.requests = 0
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                fake.requests += 1
                fake.answer(self, self.rfile.read(int(self.headers["Content-Length"])).decode())

            def log_message(self, *_args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


def reply(handler: BaseHTTPRequestHandler, status: int, body: str, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body.encode())


@pytest.fixture
def fake() -> Iterator[FakeAgent]:
    agent = FakeAgent()
    thread = threading.Thread(target=agent.server.serve_forever, args=(0.02,))
    thread.start()
    yield agent
    agent.server.shutdown()
    agent.server.server_close()
    thread.join()


@pytest.fixture
def voice(world: World, fake: FakeAgent) -> Voice:
    voice = world.agents[0]
    Agent.objects.filter(pk=voice.agent.pk).update(url=fake.url)
    voice.agent.url = fake.url
    return voice


def sealing(
    voice: Voice, *, key: Any = None, answers: str | None = None, audience: str = CONTROL_PLANE
) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, body: str) -> None:
        opened = unseal(body, keys.signing_keys(), purpose=Purpose.COMMAND, audience=str(voice.agent.pk))
        sealed = seal(
            key or voice.key,
            CommandAnswer(results=()).model_dump_json(),
            purpose=Purpose.ANSWER,
            issuer=str(voice.agent.pk),
            audience=audience,
            answers=opened.id if answers is None else answers,
        )
        reply(handler, 200, sealed.token)

    return answer


def test_a_sealed_answer_to_this_very_command_is_believed(voice: Voice, fake: FakeAgent) -> None:
    fake.answer = sealing(voice)
    assert client.send(voice.agent, COMMAND) == CommandAnswer(results=())


def test_answers_that_cannot_be_believed_are_silence(voice: Voice, fake: FakeAgent) -> None:
    for answer in (
        sealing(voice, key=new_key()),
        sealing(voice, answers="another"),
        sealing(voice, audience="somebody"),
        lambda h, _b: reply(h, 200, "{}"),
    ):
        fake.answer = answer
        with pytest.raises(AgentSilentError, match="unreadable or not authentic"):
            client.send(voice.agent, COMMAND)


def test_an_agents_words_of_an_error_are_such_as_the_database_holds(voice: Voice, fake: FakeAgent) -> None:
    fake.answer = lambda handler, _body: reply(
        handler, 503, '{"detail": "full\\u0000 of \\ud800 ' + "x" * 400 + '"}'
    )
    with pytest.raises(AgentSilentError, match=r"The agent answered 503: full  of   x+…$") as problem:
        client.send(voice.agent, COMMAND)
    assert len(str(problem.value)) < 330


def test_a_redirect_is_not_followed(voice: Voice, fake: FakeAgent) -> None:
    fake.answer = lambda handler, _body: reply(handler, 307, "", Location=fake.url + "/elsewhere")
    with pytest.raises(AgentSilentError, match="answered 307"):
        client.send(voice.agent, COMMAND)
    assert fake.requests == 1


def test_an_answer_over_the_cap_is_not_read_to_its_end(voice: Voice, fake: FakeAgent) -> None:
    fake.answer = lambda handler, _body: reply(handler, 200, "x" * (client.MAX_ANSWER_BYTES + 1))
    with pytest.raises(AgentSilentError, match="too large"):
        client.send(voice.agent, COMMAND)


def test_an_agent_that_never_answers_is_given_up_at_the_deadline(
    voice: Voice, fake: FakeAgent, settings: Settings, hang: Hang
) -> None:
    settings.SEND_DEADLINE_S = 0.3
    fake.answer = lambda _handler, _body: hang.wait()
    with pytest.raises(AgentSilentError, match="in time"):
        client.send(voice.agent, COMMAND)
    assert hang.lasts


def trickling_body(handler: BaseHTTPRequestHandler, hang: Hang) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in hang.steps():
        handler.wfile.write(b"x")
        handler.wfile.flush()


def trickling_headers(handler: BaseHTTPRequestHandler, hang: Hang) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number, _ in enumerate(hang.steps()):
        handler.wfile.write(f"x-{number}: 1\r\n".encode())
        handler.wfile.flush()


@pytest.mark.parametrize("trickle", [trickling_body, trickling_headers])
def test_an_agent_that_trickles_is_given_up_too(
    voice: Voice,
    fake: FakeAgent,
    settings: Settings,
    hang: Hang,
    trickle: Callable[[BaseHTTPRequestHandler, Hang], None],
) -> None:
    settings.SEND_DEADLINE_S = 0.3
    fake.answer = lambda handler, _body: trickle(handler, hang)
    with pytest.raises(AgentSilentError, match="in time"):
        client.send(voice.agent, COMMAND)
    assert hang.lasts


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/", "http://10.0.0.1:80", "http://no-such-host.invalid"]
)
def test_a_url_outside_what_operators_allow_is_never_asked(world: World, url: str) -> None:
    agent = world.agents[0].agent
    agent.url = url
    with pytest.raises(AgentSilentError, match="AGENT_NETWORKS"):
        client.send(agent, COMMAND)


def test_nobody_listening_is_silence(world: World) -> None:
    with pytest.raises(AgentSilentError, match="is unreachable") as silent:
        client.send(world.agents[0].agent, COMMAND)
    with override("ko"):
        assert (
            translated(str(silent.value))
            == "에이전트에 연결할 수 없습니다. 에이전트 URL로 연결하지 못했습니다."
        )


def test_a_revoked_keys_answer_is_not_believed(voice: Voice, fake: FakeAgent) -> None:
    fake.answer = sealing(voice)
    voice.agent.keys.update(revoked_at="2026-01-01T00:00:00Z")
    with pytest.raises(AgentSilentError, match="unreadable or not authentic"):
        client.send(Agent.objects.get(pk=voice.agent.pk), COMMAND)


def test_a_name_that_is_not_looked_up_in_time_is_silence(
    world: World, monkeypatch: pytest.MonkeyPatch, hang: Hang
) -> None:
    monkeypatch.setattr("socket.getaddrinfo", hanging(hang))
    agent = world.agents[0].agent
    agent.url = "https://agent.hanging.example"
    with pytest.raises(AgentSilentError, match="resolved in time"):
        client.send(agent, COMMAND)
    assert hang.lasts
