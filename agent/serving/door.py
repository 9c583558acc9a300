"""The port that takes commands.

A stranger's request is refused by its headers, has to be complete in time, and holds no place for long.
"""

import time
from typing import TYPE_CHECKING

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.utilities import Error, RequestEntityTooLarge

from agent.protocol import messages, signing
from fence import split_endpoint

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

REQUEST_S = 10.0
"""Seconds for a whole request, headers and body, from its connection or first byte on."""
IDLE_S = 30.0
"""How long a connection is kept for the next request."""
CONNECTIONS = 500
SMALL = 1024
"""Bytes of a body that are read, and ignored, on a path that takes none."""


class _LengthRequired(Error):  # type: ignore[misc]  # the library has no types, as below
    code = 411
    reason = "Length Required"


class _Request(HTTPRequestParser):  # type: ignore[misc]
    """A request that is complete, with an error, as soon as its headers show that it is refused."""

    error: Error | None

    def received(self, data: bytes) -> int:
        """Take a part; the number of bytes used."""
        consumed: int = super().received(data)
        if self.headers_finished and not self.empty and not self.error and (error := self._objection()):
            self.error, self.completed = error, True
        return consumed

    def _objection(self) -> Error | None:
        if self.chunked or (self.command == "POST" and "CONTENT_LENGTH" not in self.headers):
            return _LengthRequired("Say how long the body is.")
        limit = signing.SIZE_LIMIT if self.path == messages.PATH_COMMANDS else SMALL
        return (
            RequestEntityTooLarge(f"At most {limit} bytes are read here.")
            if self.content_length > limit
            else None
        )


class _Connection(HTTPChannel):  # type: ignore[misc]
    parser_class = _Request
    due: float
    """When it is closed, by the monotonic clock, unless a request is complete by then."""

    def __init__(self, *parts: object, **more: object) -> None:
        self.due = time.monotonic() + REQUEST_S
        super().__init__(*parts, **more)

    def received(self, data: bytes) -> bool:
        """Take received bytes; the first byte of a request sets its clock, and no later byte moves it."""
        was_idle, now = self.request is None, time.monotonic()
        is_accepted: bool = super().received(data)
        if self.request is None:
            self.due = now + IDLE_S
        elif was_idle:
            self.due = min(self.due, now + REQUEST_S)
        return is_accepted

    @property
    def is_waiting(self) -> bool:
        """Whether no thread works for the connection and no answer is on its way."""
        return not self.requests and not self.total_outbufs_len and not self.will_close


class Door(TcpWSGIServer):  # type: ignore[misc]
    """One listening port and its threads."""

    channel_class = _Connection

    def readable(self) -> bool:
        """Whether a connection may come in.

        Without a free place, the connection that has waited longest is closed for it.
        """
        if len(self.active_channels) >= CONNECTIONS and (
            waiting := [connection for connection in self.active_channels.values() if connection.is_waiting]
        ):
            min(waiting, key=lambda connection: connection.due).will_close = True
        return bool(super().readable())

    def maintenance(self, now: float) -> None:  # noqa: ARG002 (the wall clock may jump)
        """Close what is overdue; called once a second."""
        moment = time.monotonic()
        for connection in self.active_channels.values():
            if connection.requests:
                connection.due = moment + IDLE_S
            elif connection.due < moment and connection.is_waiting:
                connection.will_close = True


def open_door(app: "WSGIApplication", listen: str) -> Door:
    """Bind. Raises OSError when the port is taken."""
    host, port = split_endpoint(listen)
    adjustments = Adjustments(
        host=host,
        port=port,
        threads=16,
        ident="imp-agent",
        # Its usual select() cannot see sockets numbered 1,024 and up.
        asyncore_use_poll=True,
        cleanup_interval=1,
        # Two places more than connections: the port itself, and what wakes the loop.
        connection_limit=CONNECTIONS + 2,
        backlog=CONNECTIONS,
        max_request_body_size=signing.SIZE_LIMIT + 1,
        max_request_header_size=16 * 1024,
        recv_bytes=64 * 1024,
    )
    return Door(app, adj=adjustments, sockinfo=adjustments.listen[0])
