"""The server that the browser talks to."""

import threading
from typing import Any

from django.core.servers.basehttp import ThreadedWSGIServer


class Server(ThreadedWSGIServer):
    """The live server, with a wait for requests of closed pages: they hold tables, which are emptied next."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connections, self._changed = 0, threading.Condition()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Count a new connection."""
        self._count(1)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, until the connection is closed."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._changed:
            self._connections += change
            self._changed.notify_all()

    def is_left_alone(self, *, within: float) -> bool:
        """True as soon as no connection is open; False when that takes longer than so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._connections, within)
