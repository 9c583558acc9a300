"""The requests that the edge hands to Django, and those that it keeps out; called as by a web server."""

import asyncio
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from config.edge import Bounds, Edge
from core.problems import REFUSAL

SIGNED = (b"authorization", b"Bearer x")


class Application:
    """A WSGI application that keeps what it was asked."""

    def __init__(self) -> None:
        self.environs: list[WSGIEnvironment] = []
        self.bodies: list[bytes] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.environs.append(environ)
        self.bodies.append(environ["wsgi.input"].read())
        start_response(
            "200 OK", [("Content-Type", "text/plain"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
        )
        return [b"a", b"b"]


async def ask(
    edge: Edge,
    *parts: bytes,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    pause_s: float = 0.0,
    path: str = "/x",
) -> list[dict[str, Any]]:
    """One request whose body comes in these parts, with a pause before each; what the edge sends."""
    coming, messages = list(parts) or [b""], list[dict[str, Any]]()

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pause_s)
        part = coming.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(coming)}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"a=%00",
        "http_version": "1.1",
        "scheme": "http",
        "headers": list(headers),
    }
    await edge({**scope, "server": ("127.0.0.1", 80), "client": ("127.0.0.9", 5)}, receive, send)
    return messages


def refusal_of(application: Application) -> object:
    problem = application.environs[-1].get(REFUSAL)
    return problem.code if problem else None


def test_a_whole_request_arrives_and_a_whole_answer_leaves() -> None:
    application = Application()
    messages = asyncio.run(
        ask(
            Edge(application, threads=1),
            b"ab",
            b"c",
            path="/상품",
            headers=((b"content-type", b"text/plain"),),
        )
    )
    environ = application.environs[0]
    assert (environ["CONTENT_LENGTH"], environ["CONTENT_TYPE"], application.bodies) == (
        "3",
        "text/plain",
        [b"abc"],
    )
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/상품"
    assert (environ["REMOTE_ADDR"], environ["QUERY_STRING"], environ["REQUEST_METHOD"]) == (
        "127.0.0.9",
        "a=%00",
        "POST",
    )
    start, body = messages
    assert (start["status"], body) == (200, {"type": "http.response.body", "body": b"ab"})
    assert [value for name, value in start["headers"] if name == b"set-cookie"] == [b"a=1", b"b=2"]


def test_a_header_with_an_underscore_does_not_pass_as_its_twin() -> None:
    application = Application()
    headers = (
        (b"x_forwarded_for", b"10.0.0.1"),
        (b"x-forwarded-for", b"127.0.0.9"),
        (b"content_length", b"9"),
        (b"cookie", b"a=1"),
        (b"cookie", b"b=2"),
    )
    asyncio.run(ask(Edge(application, threads=1), headers=headers))
    environ = application.environs[0]
    assert (environ["HTTP_X_FORWARDED_FOR"], environ["CONTENT_LENGTH"], environ["HTTP_COOKIE"]) == (
        "127.0.0.9",
        "0",
        "a=1; b=2",
    )


def test_a_body_below_the_least_rate_is_given_up_and_one_above_it_is_not() -> None:
    bounds = Bounds(grace_s=0.2, least_rate=1000, total_s=60.0)
    application = Application()
    asyncio.run(ask(Edge(application, threads=1, bounds=bounds), *[b"a" * 10] * 20, pause_s=0.05))
    assert refusal_of(application) == "body_too_slow"
    assert application.bodies[-1] == b""
    asyncio.run(ask(Edge(application, threads=1, bounds=bounds), *[b"a" * 200] * 8, pause_s=0.05))
    assert refusal_of(application) is None


def test_a_body_has_so_long_in_all_however_fast_it_comes() -> None:
    application = Application()
    bounds = Bounds(grace_s=0.1, least_rate=1, total_s=0.2)
    asyncio.run(ask(Edge(application, threads=1, bounds=bounds), *[b"a" * 100] * 20, pause_s=0.05))
    assert refusal_of(application) == "body_too_slow"


def test_large_bodies_share_what_they_may_take_and_small_ones_always_pass() -> None:
    application = Application()
    edge = Edge(application, threads=1, bounds=Bounds(small=10, in_flight=100))

    async def three_at_once() -> None:
        large = ask(edge, b"a" * 90, b"", headers=(SIGNED,), pause_s=0.1)
        second = ask(edge, b"b" * 90, b"", headers=(SIGNED,), pause_s=0.1)
        small = ask(edge, b"c" * 10, pause_s=0.15)
        await asyncio.gather(large, second, small)
        await ask(edge, b"d" * 90, headers=(SIGNED,))

    asyncio.run(three_at_once())
    codes = [getattr(environ.get(REFUSAL), "code", "") for environ in application.environs]
    assert sorted(codes) == ["", "", "", "too_much_at_once"]
    assert {b"c" * 10, b"d" * 90} <= set(application.bodies)


def test_who_goes_away_in_the_middle_reaches_nobody() -> None:
    application = Application()
    edge = Edge(application, threads=1)

    async def disconnect() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def unsent(message: dict[str, Any]) -> None:
        raise AssertionError(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "query_string": b"",
        "http_version": "1.1",
        "scheme": "http",
        "headers": [],
    }
    asyncio.run(edge(scope, disconnect, unsent))
    assert application.environs == []
