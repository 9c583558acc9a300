"""The edge (ASGI): reads a body on the event loop, within bounds of size, rate and time, before Django.

A body is refused by its headers where they suffice. Django gets only whole requests, in one of a few threads,
and returns only whole answers, so a slow sender or a slow reader never occupies a thread. A refused request
goes to Django without its body, which answers it like every other refusal.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass
from io import BytesIO
from typing import Any, cast
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from core.problems import REFUSAL, BadRequest, Problem
from core.security.bodies import BodyTooLarge, BodyTooSlow, TooMuchAtOnce
from core.texts import whole_number

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

KIB, MIB = 1024, 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Bounds of a body: bytes, bytes per second on average after the grace period, and seconds in all."""

    anonymous: int = 64 * KIB
    doors: tuple[tuple[str, int], ...] = (("/agent/v1/enroll", 64 * KIB), ("/api/", MIB))
    default: int = 10 * MIB
    grace_s: float = 5.0
    least_rate: int = 8 * KIB
    total_s: float = 60.0
    small: int = 64 * KIB
    in_flight: int = 96 * MIB

    def size_of(self, path: str, *, is_anonymous: bool) -> int:
        """The largest body of a path, in bytes."""
        at_door = next((most for prefix, most in self.doors if path.startswith(prefix)), self.default)
        return min(at_door, self.anonymous) if is_anonymous else at_door

    def seconds(self, received: int) -> float:
        """Seconds from the start of the body by which its next bytes must arrive."""
        return min(self.total_s, self.grace_s + received / self.least_rate)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A whole answer of the WSGI application."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class ClientDisconnected(Exception):
    """The client disconnected in the middle of its request."""


class Edge:
    """An ASGI application over a WSGI one. Its `threads` threads last: each keeps its database connection."""

    def __init__(self, application: WSGIApplication, *, threads: int, bounds: Bounds | None = None) -> None:
        self._application, self._bounds = application, bounds or Bounds()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="web")
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; other protocols are ignored."""
        if scope["type"] != "http":
            return
        headers = _headers(scope)
        body = bytearray()
        refusal: Problem | None = None
        try:
            await self._read(scope["path"], headers, receive, body)
        except Problem as problem:
            refusal = problem
        except ClientDisconnected:
            self._release(body)
            return
        try:
            answer = await self._answer(scope, headers, b"" if refusal else bytes(body), refusal)
        finally:
            self._release(body)
        extra = (
            [(b"connection", b"close")] if refusal else []
        )  # the rest of the body must not be read as a request
        await send(
            {"type": "http.response.start", "status": answer.status, "headers": answer.headers + extra}
        )
        await send({"type": "http.response.body", "body": answer.body})

    async def _read(self, path: str, headers: dict[str, str], receive: Receive, body: bytearray) -> None:
        most = self._bounds.size_of(path, is_anonymous=not {"AUTHORIZATION", "COOKIE"} & headers.keys())
        if _length(headers) > most:
            raise BodyTooLarge.of(most)
        loop = asyncio.get_running_loop()
        began, more = loop.time(), True
        while more:
            try:
                async with asyncio.timeout_at(began + self._bounds.seconds(len(body))):
                    message = await receive()
            except TimeoutError as problem:
                raise BodyTooSlow from problem
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            self._take(body, message.get("body", b""), most=most)
            more = message.get("more_body", False)

    def _take(self, body: bytearray, part: bytes, *, most: int) -> None:
        """Small bodies are always accepted; large bodies share `in_flight` bytes over all requests."""
        if len(body) + len(part) > most:
            raise BodyTooLarge.of(most)
        before = self._large(body)
        body += part
        self._in_flight += self._large(body) - before
        if self._in_flight > self._bounds.in_flight and self._large(body):
            raise TooMuchAtOnce

    def _release(self, body: bytearray) -> None:
        self._in_flight -= self._large(body)

    def _large(self, body: bytearray) -> int:
        return max(0, len(body) - self._bounds.small)

    async def _answer(
        self, scope: Scope, headers: dict[str, str], body: bytes, refusal: Problem | None
    ) -> Answer:
        environ = _environ(scope, headers, body)
        if refusal:
            environ[REFUSAL] = refusal
        return await asyncio.get_running_loop().run_in_executor(self._pool, _call, self._application, environ)


def _headers(scope: Scope) -> dict[str, str]:
    """Headers by their WSGI names, without HTTP_.

    Names with underscores are dropped: they could spoof others.
    """
    headers: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name = raw.decode("latin-1").upper()
        if "_" in name:
            continue
        name, text = name.replace("-", "_"), value.decode("latin-1")
        separator = "; " if name == "COOKIE" else ","
        headers[name] = f"{headers[name]}{separator}{text}" if name in headers else text
    return headers


def _length(headers: dict[str, str]) -> int:
    length = whole_number(headers.get("CONTENT_LENGTH", "0"))
    if length is None:
        raise BadRequest
    return length


def _environ(scope: Scope, headers: dict[str, str], body: bytes) -> WSGIEnvironment:
    passed = {
        f"HTTP_{name}": value
        for name, value in headers.items()
        if name not in {"CONTENT_LENGTH", "CONTENT_TYPE", "TRANSFER_ENCODING"}
    }
    host, port = scope.get("server") or ("localhost", 80)
    address, _port = scope.get("client") or ("", 0)
    return {
        **passed,
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode(errors="surrogateescape").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "CONTENT_TYPE": headers.get("CONTENT_TYPE", ""),
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": str(host),
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": str(address),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


def _call(application: WSGIApplication, environ: WSGIEnvironment) -> Answer:
    """Runs in a thread: the whole answer, closed in the same thread, where Django ends the request."""
    status, headers = "", list[tuple[str, str]]()

    def start(line: str, fields: list[tuple[str, str]], *_exc_info: object) -> Callable[[bytes], object]:
        nonlocal status, headers
        status, headers = line, fields
        return BytesIO().write

    parts: Any = application(environ, cast(StartResponse, start))
    with closing(parts) if hasattr(parts, "close") else nullcontext():
        body = b"".join(parts)
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return Answer(status=int(status.split(" ", 1)[0]), headers=encoded, body=body)
