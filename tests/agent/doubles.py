"""Doubles for the tests of the agent: specs, an upstream, and a control plane with the real protocol over
HTTP.
"""

import base64
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID, uuid4

from agent.protocol import messages, signing
from agent.protocol.spec import Route, Service, Spec, State, Upstream

LOOPBACK = ("127.0.0.0/8",)


def quieten() -> None:
    """The agent logs nothing: its own threads would go on doing so after the end of a test."""
    logging.getLogger("agent").setLevel(logging.CRITICAL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], Any], *, within_s: float = 10.0, description: str = "") -> Any:
    """Poll until the condition holds; its value. Fails with the description otherwise."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"not within {within_s} s: {description or condition}")


def make_service(port: int = 9, *, routes: Iterable[Route] = (), **upstream: Any) -> Service:
    routes = tuple(routes) or (Route(id=uuid4(), path="/"),)
    return Service(
        id=uuid4(),
        name="sample",
        upstream=Upstream(**{"scheme": "http", "host": "127.0.0.1", "port": port, **upstream}),
        routes=routes,
    )


def live(
    publish: UUID | None = None, *, generation: int = 1, host: str = "", port: int = 9, **more: Any
) -> Spec:
    publish = publish or uuid4()
    services = more.pop("services", None) or (make_service(port),)
    return Spec(
        publish_id=publish,
        generation=generation,
        state=State.LIVE,
        host=host or f"{publish}.localhost",
        services=services,
        **more,
    )


def withdrawn(spec: Spec, *, generation: int) -> Spec:
    return Spec(publish_id=spec.publish_id, generation=generation, state=State.WITHDRAWN, host=spec.host)


def absent(spec: Spec, *, generation: int) -> Spec:
    return Spec(publish_id=spec.publish_id, generation=generation, state=State.ABSENT)


class Upstreams(ThreadingHTTPServer):
    """A tiny upstream that answers with the request, and records requests."""

    daemon_threads = True

    def __init__(self, name: str = "one", *, at: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        super().__init__(at, _Echo)
        self.name, self.status, self.requests = name, 200, []  # type: ignore[var-annotated]
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def handle_error(self, *_: Any) -> None:
        """Envoy drops idle connections of clusters that are gone; that is no news."""

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _answer(self) -> None:
        upstream: Any = self.server
        upstream.requests.append((self.command, self.path))
        body = json.dumps(
            {
                "upstream": upstream.name,
                "method": self.command,
                "path": self.path,
                "headers": dict(self.headers),
            }
        ).encode()
        self.send_response(upstream.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = do_PURGE = _answer

    def log_message(self, *_: Any) -> None:
        pass


@dataclass
class Enrolled:
    agent_id: UUID
    key: signing.Key
    url: str
    driver: str


@dataclass
class ControlPlaneDouble:
    """A control plane in memory: enrolment, heartbeat, report, specs, results, pushed commands."""

    interval_ms: int = 500
    networks: tuple[str, ...] = LOOPBACK
    key: signing.Key = field(default_factory=signing.new_key)
    secrets: dict[str, str] = field(default_factory=dict)
    agents: dict[str, Enrolled] = field(default_factory=dict)
    expected: dict[UUID, Spec] = field(default_factory=dict)
    heartbeats: list[messages.Heartbeat] = field(default_factory=list)
    reports: list[messages.Report] = field(default_factory=list)
    results: list[messages.Result] = field(default_factory=list)
    let_in: list[messages.LetIn] = field(default_factory=list)
    forget: tuple[messages.Absence, ...] = ()
    keys_asked: tuple[UUID, ...] = ()
    asks_for_reports: bool = True
    broken: bool = False
    server: Any = None

    def start(self) -> "ControlPlaneDouble":
        handler = type("Handler", (_Door,), {"double": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        return self

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def code(self, *, name: str = "one", fingerprint: str = "", state: str = "good") -> str:
        secret = str(uuid4())
        self.secrets[secret] = state
        content = {"url": self.url, "fingerprint": fingerprint or signing.key_id(self.key), "secret": secret}
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    def seal(self, agent_id: str, *specs: Spec, answer_within_ms: int = 5_000, **more: Any) -> signing.Sealed:
        items = tuple(messages.Item(spec=spec, delivery=uuid4(), token=uuid4()) for spec in specs)
        command = messages.Command(
            items=items, upstream_networks=self.networks, answer_within_ms=answer_within_ms
        )
        fields = {
            "purpose": signing.Purpose.COMMAND,
            "issuer": signing.CONTROL_PLANE,
            "audience": agent_id,
            **more,
        }
        return signing.seal(self.key, command.model_dump_json(), **fields)

    def open_answer(self, agent: Enrolled, text: str, *, answers: str) -> tuple[messages.Result, ...]:
        opened = signing.unseal(
            text,
            [agent.key],
            purpose=signing.Purpose.ANSWER,
            audience=signing.CONTROL_PLANE,
            issuer=str(agent.agent_id),
            answers=answers,
        )
        return messages.CommandAnswer.model_validate_json(opened.body).results


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    double: ControlPlaneDouble

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.double.broken:
            return self._problem(503, "broken", "The control plane is down for a moment.")
        token = self.headers["authorization"].removeprefix("Imp ")
        if self.path == messages.PATH_ENROL:
            return self._enrol(token, body)
        agent = self.double.agents.get(signing.issuer_of(token))
        if agent is None:
            return self._problem(401, "unknown_agent", "This agent is not enrolled here.")
        try:
            proof = signing.check_request(
                token, [agent.key], method="POST", url=self.double.url + self.path, body=body
            )
        except signing.SignatureRefused as problem:
            return self._problem(401, "bad_proof", str(problem))
        return self._seal(self._answer(body), audience=str(agent.agent_id), answers=proof.id)

    def _enrol(self, token: str, body: bytes) -> None:
        request = messages.EnrolRequest.model_validate_json(body)
        key = signing.import_key(request.public_key)
        proof = signing.check_request(token, [key], method="POST", url=self.double.url + self.path, body=body)
        if self.double.secrets.pop(request.secret, "used") != "good":
            return self._problem(
                403, "code_used", "This code was used before or is older than an hour; make a new one."
            )
        agent = Enrolled(agent_id=uuid4(), key=key, url=request.url, driver=request.driver)
        self.double.agents[str(agent.agent_id)] = agent
        answer = messages.EnrolAnswer(
            agent_id=agent.agent_id,
            name="one",
            cluster="kr-test",
            control_plane_keys=(signing.public_jwk(self.double.key),),
        )
        return self._seal(answer, audience="enrolment", answers=proof.id)

    def _answer(self, body: bytes) -> Any:
        double = self.double
        if self.path == messages.PATH_HEARTBEAT:
            double.heartbeats.append(messages.Heartbeat.model_validate_json(body))
            return messages.HeartbeatAnswer(interval_ms=double.interval_ms, report=double.asks_for_reports)
        if self.path == messages.PATH_REPORT:
            return self._answer_page(messages.Report.model_validate_json(body))
        if self.path == messages.PATH_SPECS:
            ids = messages.SpecsRequest.model_validate_json(body).publish_ids
            items = tuple(
                messages.Item(spec=double.expected[publish]) for publish in ids if publish in double.expected
            )
            return messages.SpecsAnswer(items=items, upstream_networks=double.networks)
        if self.path == messages.PATH_KEYS_LET_IN:
            double.let_in += messages.KeysLetIn.model_validate_json(body).publishes
            return messages.Accepted()
        double.results += messages.Results.model_validate_json(body).results
        return messages.Accepted()

    def _answer_page(self, page: messages.Report) -> messages.ReportAnswer:
        double = self.double
        double.reports.append(page)
        carried = {row.publish_id: (row.generation, row.digest, row.verified) for row in page.carried}
        expected = {publish: spec for publish, spec in double.expected.items() if page.covers(publish)}
        return messages.ReportAnswer(
            wanted=tuple(
                publish
                for publish, spec in expected.items()
                if carried.get(publish) != (spec.generation, spec.digest, True)
            ),
            forget=tuple(absence for absence in double.forget if page.covers(absence.publish_id)),
            keys_asked=() if page.until else double.keys_asked,
        )

    def _seal(self, answer: Any, *, audience: str, answers: str) -> None:
        sealed = signing.seal(
            self.double.key,
            answer.model_dump_json(),
            purpose=signing.Purpose.ANSWER,
            issuer=signing.CONTROL_PLANE,
            audience=audience,
            answers=answers,
        )
        self._send(200, "application/jose", sealed.token)

    def _problem(self, status: int, code: str, detail: str) -> None:
        self._send(
            status, "application/problem+json", json.dumps({"title": "No", "detail": detail, "code": code})
        )

    def _send(self, status: int, kind: str, text: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        pass
