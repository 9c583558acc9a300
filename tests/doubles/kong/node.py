"""One Kong node in this process: its Admin API and its proxy on real sockets, with switches for tests."""

import itertools
import re
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

from tests.doubles.kong import paths
from tests.doubles.kong.admin import NO_HASH, Admin, Call
from tests.doubles.kong.exchange import Answer, Exchange
from tests.doubles.kong.faults import Faults
from tests.doubles.kong.plugin_schemas import PRIORITIES
from tests.doubles.kong.schemas import Entity
from tests.doubles.kong.serving import Hangup, Proxy, Worker
from tests.doubles.kong.store import Store

_NAME = re.compile(r"[A-Za-z0-9_-]+")
"""Not in the records: nginx drops a header of any other name (`ignore_invalid_headers`).

Kong lets underscores pass.
"""


@dataclass
class Kong:
    """`database` is postgres or off. Several nodes may share one `store`, as they share a database."""

    database: str = "postgres"
    store: Store = field(default_factory=lambda: Store(plugins=tuple(PRIORITIES)))
    workers: list[Worker] = field(default_factory=lambda: [Worker()])
    token: str = ""
    """When set, the Admin API wants it in Kong-Admin-Token (as a fencing proxy or RBAC would)."""
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        self.admin = Admin(store=self.store, database=self.database)
        self.proxy = Proxy(store=self.store)
        self._servers = (_Server(_AdminDoor, self), _Server(_ProxyDoor, self), _Server(_StatusDoor, self))
        self.admin_port, self.proxy_port, self.status_port = (
            int(server.server_address[1]) for server in self._servers
        )
        self._turn = itertools.cycle(range(1_000_000))

    def start(self) -> "Kong":
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def stop(self) -> None:
        """All doors at once: each takes as long as its loop sleeps."""
        closing = [threading.Thread(target=server.shutdown) for server in self._servers]
        for thread in closing:
            thread.start()
        for thread, server in zip(closing, self._servers, strict=True):
            thread.join()
            server.server_close()

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def proxy_url(self) -> str:
        return f"http://127.0.0.1:{self.proxy_port}"

    def late(self, *, routes_s: float, plugins_s: float, workers: int = 2) -> None:
        """Eventual consistency: `workers` that see routes and plugins that much later."""
        self.workers[:] = [Worker(routes_late_s=routes_s, plugins_late_s=plugins_s) for _ in range(workers)]

    def worker(self) -> Worker:
        """The worker that takes the next connection."""
        return self.workers[next(self._turn) % len(self.workers)]

    def lose_everything(self) -> None:
        """A node without a database started anew on an empty data directory."""
        self.store.replace({})
        self.admin.configuration_hash, self.admin.config, self.admin.node_id = NO_HASH, None, str(uuid4())

    def entities(self, kind_name: str) -> list[Entity]:
        """All entities of a kind, by id."""
        return sorted(self.store.tables[kind_name].values(), key=lambda entity: entity["id"])

    def own(self, kind_name: str) -> list[Entity]:
        """Those that carry our tag."""
        return [entity for entity in self.entities(kind_name) if "imp" in (entity["tags"] or ())]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, door: type[BaseHTTPRequestHandler], kong: Kong) -> None:
        super().__init__(("127.0.0.1", 0), door)
        self.kong = kong
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Hang up on everybody too: callers keep connections for later."""
        super().server_close()
        for connection in self._open.copy():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: Any) -> None:
        """Callers that went away are no news."""


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def kong(self) -> Kong:
        return self.server.kong  # type: ignore[attr-defined,no-any-return]

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        has_body = answer.status not in {204, 304}
        if has_body:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if has_body and self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, *_: Any) -> None:
        pass


class _AdminDoor(_Door):
    def _answer(self) -> None:
        kong, headers = self.kong, self.headers
        token = headers.get("kong-admin-token") or ""
        call = Call(
            method=self.command,
            path=self.path,
            content_type=headers.get("content-type") or "",
            body=self._body(),
            token=token,
        )
        with kong.faults.counted():
            fault = kong.faults.next_for(call)
            if fault:
                time.sleep(fault.delay_s)
            answer = kong.admin.answer(call) if not fault or fault.status is None or fault.after else None
        if kong.token and token != kong.token:
            return self._send(
                Answer.json(401, {"message": "Invalid credentials. Token or User credentials required"})
            )
        if fault and fault.status == 0:
            return self._hang_up()
        if fault and fault.status is not None:
            after = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            answer = Answer.json(fault.status, {"message": "An unexpected error occurred"}, headers=after)
        return self._send(answer) if answer else None

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = _answer


class _StatusDoor(_Door):
    def do_GET(self) -> None:
        is_ready, message = self.kong.admin.readiness()
        self._send(Answer.json(200 if is_ready else 503, {"message": message}))


class _ProxyDoor(_Door):
    def setup(self) -> None:
        super().setup()
        self.worker = self.kong.worker()

    def __getattr__(self, name: str) -> Any:
        # Any method at all is a request.
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        host = self.headers.get("host") or ""
        exchange = Exchange(
            id=uuid4().hex,
            method=self.command,
            raw_path=path,
            path=paths.normal(path),
            query=query,
            host=host,
            headers=[(name, value) for name, value in self.headers.items() if _NAME.fullmatch(name)],
            body=self._body(),
        )
        try:
            self._send(self.kong.proxy.serve(exchange, self.worker, proxy_port=self.kong.proxy_port))
        except Hangup:
            self._hang_up()
