"""The agent's HTTP server: takes signed commands and answers with their results.

A command with a wrong seal is refused. Writes nothing itself.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog

from agent.control_plane.client import ControlPlane
from agent.control_plane.postman import Postman
from agent.protocol import OLDEST, VERSION, messages, signing
from agent.work.worker import Worker, wait_for

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

PATH_LIVEZ = "/livez"
LONGEST_WAIT_MS = 60_000

log = structlog.get_logger()


class _Problem(Exception):
    def __init__(self, status: HTTPStatus, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


class ReplayGuard:
    """The replay guard: remembers message ids until they expire, so that each is accepted once."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def take(self, message_id: str, *, expires_at: int) -> bool:
        """True the first time. An id is kept as long as its seal could still be believed."""
        now = self._clock()
        with self._lock:
            self._until = {known_id: expiry for known_id, expiry in self._until.items() if expiry >= now}
            is_new = message_id not in self._until
            self._until[message_id] = expires_at + signing.SKEW_S + 1
        return is_new


class App:
    """The WSGI application."""

    def __init__(self, *, control_plane: ControlPlane, worker: Worker, postman: Postman) -> None:
        self._control_plane, self._worker, self._postman = control_plane, worker, postman
        self._replay_guard = ReplayGuard()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Route one request."""
        try:
            status, kind, text = self._answer(environ)
        except _Problem as problem:
            log.warning(
                "request_refused", status=problem.status.value, code=problem.code, detail=problem.detail
            )
            content = {
                "type": "about:blank",
                "title": problem.status.phrase,
                "status": problem.status.value,
                "code": problem.code,
            }
            status, kind, text = (
                problem.status,
                "application/problem+json",
                json.dumps({**content, "detail": problem.detail}),
            )
        body = text.encode()
        headers = [("content-type", kind), ("content-length", str(len(body))), ("cache-control", "no-store")]
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("allow", _METHODS[str(environ["PATH_INFO"])]))
        start_response(f"{status.value} {status.phrase}", headers)
        return [body]

    def _answer(self, environ: "WSGIEnvironment") -> tuple[HTTPStatus, str, str]:
        path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
        if path not in _METHODS:
            raise _Problem(HTTPStatus.NOT_FOUND, "not_found", "There is nothing at this path.")
        if method != _METHODS[path]:
            raise _Problem(
                HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", f"Only {_METHODS[path]} is allowed here."
            )
        if path == PATH_LIVEZ:
            return HTTPStatus.OK, "text/plain; charset=utf-8", "ok\n"
        return self._command(_body(environ))

    def _command(self, token: str) -> tuple[HTTPStatus, str, str]:
        opened, command = self._open(token)
        if not self._replay_guard.take(opened.id, expires_at=opened.expires_at):
            raise _Problem(HTTPStatus.CONFLICT, "replayed", "This command was taken before.")
        if not OLDEST <= command.protocol <= VERSION:
            detail = (
                f"This agent speaks protocol {OLDEST} to {VERSION}, the command is of {command.protocol}: "
                "update the older of the two sides."
            )
            raise _Problem(HTTPStatus.BAD_REQUEST, "protocol_unsupported", detail)
        tickets = self._worker.submit(
            command.items, networks=command.upstream_networks, reserved=command.reserved
        )
        wait_for(tickets, timeout_s=min(command.answer_within_ms, LONGEST_WAIT_MS) / 1000)
        results = [(ticket, ticket.result) for ticket in tickets]
        late = [ticket for ticket, result in results if result.outcome == messages.Outcome.WORKING]
        self._postman.follow(late)
        answer = messages.CommandAnswer(results=tuple(result for _, result in results))
        status = HTTPStatus.ACCEPTED if late else HTTPStatus.OK
        return status, "application/jose", self._control_plane.seal_answer(answer, answers=opened.id)

    def _open(self, token: str) -> tuple[signing.Opened, messages.Command]:
        try:
            return self._control_plane.open_command(token)
        except signing.SignatureRefused as problem:
            raise _Problem(HTTPStatus.UNAUTHORIZED, "bad_seal", str(problem)) from problem
        except ValueError as problem:
            raise _Problem(
                HTTPStatus.BAD_REQUEST, "malformed", "The command does not have the form of this protocol."
            ) from problem


_METHODS = {messages.PATH_COMMANDS: "POST", PATH_LIVEZ: "GET"}


def _body(environ: "WSGIEnvironment") -> str:
    text = environ["wsgi.input"].read(signing.SIZE_LIMIT + 1)
    if len(text) > signing.SIZE_LIMIT:
        raise _Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", "The command is over 32 MiB.")
    # Counted, because taking a stranger's millions of parts apart costs more than reading them.
    if not text.isascii() or text.count(b".") > 2:
        raise _Problem(HTTPStatus.BAD_REQUEST, "malformed", "The body is no compact JWS.")
    return str(text.decode("ascii").strip())
