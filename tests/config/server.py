"""The web server as the demo starts it, in a process of its own, and callers that speak HTTP byte by byte."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2

from demo import parts
from demo.folder import free_port
from demo.supervisor import Supervisor

HEAD_MS = "8000"
"""Instead of the thirty seconds that a head has, so that tests need not wait for so long."""
TOKEN = b"Authorization: Bearer imp_somebodys\r\n"


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running web server."""

    port: int
    client: httpx2.Client

    def connect(self, text: bytes) -> socket.socket:
        """A connection of its own, with the first bytes sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection.sendall(text)
        return connection

    def seconds_for(self, path: str) -> float:
        """How long an ordinary request takes."""
        began = time.monotonic()
        assert self.client.get(path).status_code == 200
        return time.monotonic() - began


@contextmanager
def running(folder: Path, **settings: str) -> Iterator[Server]:
    """Started as the demo starts it, with these settings besides; ended afterwards."""
    port = free_port()
    supervisor = Supervisor(folder, say=print)
    try:
        part = parts.web({**os.environ, "PUBLIC_URL": f"http://127.0.0.1:{port}", **settings}, port=port)
        supervisor.launch(
            replace(part, argv=tuple(HEAD_MS if argument == "30000" else argument for argument in part.argv))
        )
        supervisor.settle()
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as client:
            yield Server(port=port, client=client)
    finally:
        supervisor.stop()


def head(method: str, path: str, *lines: bytes) -> bytes:
    """The head of a request, to its blank line."""
    return b"\r\n".join(
        [
            f"{method} {path} HTTP/1.1".encode(),
            b"Host: 127.0.0.1",
            *(line.strip() for line in lines),
            b"",
            b"",
        ]
    )


def answer_of(connection: socket.socket) -> bytes:
    """All bytes until the other side closes."""
    parts = []
    while part := connection.recv(65_536):
        parts.append(part)
    return b"".join(parts)
