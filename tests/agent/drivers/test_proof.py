"""The proof of live against a proxy that misbehaves on purpose: questions, judgement, deadline."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from agent.drivers import proof
from agent.drivers.base import Unproved
from agent.protocol.spec import ApiKey, Auth, AuthMode, Spec
from tests.agent.doubles import absent, free_port, live, withdrawn
from tests.agent.gateway import hold


def answer_text(status: int, body: str = "", **headers: str) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(
        [f"HTTP/1.1 {status} Some Words", *lines, f"Content-Length: {len(body)}", "", body]
    ).encode()


class Proxy:
    """Takes connections, counts them, and answers the n-th request as it is told to."""

    def __init__(self, answer: Callable[[int], bytes]) -> None:
        self.answer, self.opened = answer, 0
        self.requests: list[str] = []
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.address: tuple[str, int] = self.socket.getsockname()
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with self.lock:
                self.opened += 1
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            text = connection.recv(4096).decode()
            with self.lock:
                number = len(self.requests)
                self.requests.append(text)
            connection.sendall(self.answer(number))

    def prove(self, spec: Spec, *, within_s: float = 2.0, probe_host: str | None = None) -> int:
        questions = proof.questions_of(hold(spec, probe_host=probe_host))
        return proof.prove(questions, proxy=self.address, deadline_s=within_s).probes


@pytest.fixture
def proxies() -> Iterator[list[Proxy]]:
    opened: list[Proxy] = []
    yield opened
    for proxy in opened:
        proxy.socket.close()


def right(_number: int) -> bytes:
    return answer_text(200, "1", imp_generation="1")


def test_it_asks_by_two_bursts_of_fresh_connections(proxies: list[Proxy]) -> None:
    proxy = Proxy(right)
    proxies.append(proxy)
    spec = live()
    assert proxy.prove(spec) == 48
    assert (len(proxy.requests), proxy.opened) == (48, 48)
    (request,) = set(proxy.requests)
    assert request.startswith(f"GET /.well-known/imp/{spec.publish_id}/1 HTTP/1.1\r\nhost: {spec.host}\r\n")


def test_no_answer_is_waited_for_before_all_connections_are_open() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    spec = live()
    worker = threading.Thread(
        target=lambda: proof.prove(proof.questions_of(hold(spec)), proxy=listener.getsockname(), deadline_s=5)
    )
    worker.start()
    connections = [listener.accept()[0] for _ in range(24)]
    for connection in connections:
        assert connection.recv(4096)
        connection.sendall(right(0))
        connection.close()
    for connection in [listener.accept()[0] for _ in range(24)]:
        assert connection.recv(4096)
        connection.sendall(right(0))
        connection.close()
    worker.join(timeout=5)
    assert not worker.is_alive()
    listener.close()


class Closed(Proxy):
    """Answers as a publish with auth does, but for the markers named in `wrong`."""

    def __init__(self, **wrong: int) -> None:
        super().__init__(lambda number: self.judge(self.requests[number], wrong))

    def judge(self, request: str, wrong: dict[str, int]) -> bytes:
        is_auth = request.split()[1].endswith("/1/auth")
        status = wrong.get("auth" if is_auth else "plain", 401 if is_auth else 200)
        return answer_text(status, "1", imp_generation="1") if status == 200 else answer_text(status)


@pytest.mark.parametrize("mode", [AuthMode.API_KEY, AuthMode.OAUTH2])
def test_where_auth_is_on_each_burst_asks_both_markers_and_shows_no_key(
    proxies: list[Proxy], mode: AuthMode
) -> None:
    proxy = Closed()
    proxies.append(proxy)
    spec = live(
        auth=Auth(mode=mode, keys=(ApiKey(id=uuid4(), consumer="one", fingerprint="f", secret="key-one"),))
    )
    assert proxy.prove(spec) == 96
    paths = [request.split()[1] for request in proxy.requests]
    marker = f"/.well-known/imp/{spec.publish_id}/1"
    assert [sorted(paths[:48]), sorted(paths[48:])] == [[marker] * 24 + [f"{marker}/auth"] * 24] * 2
    assert "key-one" not in "".join(proxy.requests)


@pytest.mark.parametrize(
    "wrong", [{"auth": 200}, {"auth": 404}, {"auth": 403}, {"auth": 500}, {"plain": 401}, {"plain": 404}]
)
def test_what_does_not_ask_for_credentials_or_asks_everywhere_is_not_proved(
    proxies: list[Proxy], wrong: dict[str, int]
) -> None:
    proxy = Closed(**wrong)
    proxies.append(proxy)
    with pytest.raises(Unproved):
        proxy.prove(live(auth=Auth(mode=AuthMode.API_KEY)), within_s=0.2)


def test_withdrawn_and_absent_are_asked_one_question_whatever_the_auth_was(proxies: list[Proxy]) -> None:
    proxy = Proxy(lambda _number: answer_text(410, imp_generation="2"))
    proxies.append(proxy)
    assert proxy.prove(withdrawn(live(auth=Auth(mode=AuthMode.API_KEY)), generation=2)) == 48


@pytest.mark.parametrize("wrong_number", [0, 23, 24, 47])
def test_one_wrong_answer_starts_anew(proxies: list[Proxy], wrong_number: int) -> None:
    proxy = Proxy(
        lambda number: answer_text(404, imp_generation="0") if number == wrong_number else right(number)
    )
    proxies.append(proxy)
    assert proxy.prove(live()) == 48
    assert proxy.opened == (72 if wrong_number < 24 else 96)


@pytest.mark.parametrize(
    "text",
    [
        answer_text(200, "2", imp_generation="2"),
        answer_text(200, "1"),
        answer_text(200, "1", imp_generation="2"),
        answer_text(200, "11", imp_generation="1"),
        answer_text(200, "", imp_generation="1"),
        answer_text(404, "1", imp_generation="1"),
        answer_text(410, "1", imp_generation="1"),
        b"HTTP/1.1 200 OK\r\nimp-generation: 1\r\nimp-generation: 1\r\ncontent-length: 1\r\n\r\n1",
        b"HTTP/1.1 200 OK\r\nimp-generation: 1\r\ncontent-length: 5\r\n\r\n1",
        b"nonsense",
        b"HTTP/1.1 abc\r\n\r\n",
        b"",
    ],
)
def test_only_exactly_the_generation_proves_a_live_publish(proxies: list[Proxy], text: bytes) -> None:
    proxy = Proxy(lambda _number: text)
    proxies.append(proxy)
    with pytest.raises(Unproved, match="do not meet this generation yet"):
        proxy.prove(live(), within_s=0.2)


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        (answer_text(410, "gone", imp_generation="2"), True),
        (answer_text(410, "gone", imp_generation="1"), False),
        (answer_text(410, "gone"), False),
        (answer_text(200, "2", imp_generation="2"), False),
    ],
)
def test_withdrawn_is_a_410_of_this_generation(proxies: list[Proxy], text: bytes, is_right: bool) -> None:
    proxy = Proxy(lambda _number: text)
    proxies.append(proxy)
    spec = withdrawn(live(), generation=2)
    if is_right:
        assert proxy.prove(spec) == 48
    else:
        with pytest.raises(Unproved):
            proxy.prove(spec, within_s=0.2)


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        (answer_text(404), True),
        (answer_text(200), True),
        (answer_text(404, imp_generation="1"), False),
        (b"", False),
    ],
)
def test_absent_is_an_answer_without_a_generation(proxies: list[Proxy], text: bytes, is_right: bool) -> None:
    proxy = Proxy(lambda _number: text)
    proxies.append(proxy)
    spec = absent(live(), generation=2)
    if is_right:
        assert proxy.prove(spec, probe_host="was.localhost") == 48
    else:
        with pytest.raises(Unproved):
            proxy.prove(spec, within_s=0.2, probe_host="was.localhost")


def test_a_host_that_never_was_here_needs_no_request(proxies: list[Proxy]) -> None:
    proxy = Proxy(right)
    proxies.append(proxy)
    assert proxy.prove(absent(live(), generation=2), probe_host="") == 0
    assert proxy.opened == 0


def test_it_gives_up_at_its_deadline() -> None:
    silent = socket.create_server(("127.0.0.1", 0), backlog=100)
    for address in (silent.getsockname(), ("127.0.0.1", free_port())):
        started = time.monotonic()
        with pytest.raises(Unproved):
            proof.prove(proof.questions_of(hold(live())), proxy=address, deadline_s=0.3)
        assert 0.3 <= time.monotonic() - started < 3
    silent.close()


def test_answers_in_small_pieces_are_put_together() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)

    def serve(connection: socket.socket) -> None:
        with connection:
            connection.recv(4096)
            for byte in right(0):
                connection.sendall(bytes([byte]))
                time.sleep(0.0005)

    def accept() -> None:
        for _ in range(48):
            threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    questions = proof.questions_of(hold(live()))
    assert proof.prove(questions, proxy=listener.getsockname(), deadline_s=5).probes == 48
    listener.close()
