"""A controllable name server for tests; look-ups of plain addresses work as usual."""

import socket
from collections.abc import Callable
from typing import Any

from tests.hang import Hang

Answer = Callable[..., Any]


def asking(look_up: Callable[[str], str]) -> Answer:
    """A `socket.getaddrinfo` that asks `look_up` for each name; it may hang, or raise socket.gaierror."""
    real = socket.getaddrinfo

    def answer(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            real(host, port, flags=socket.AI_NUMERICHOST)
        except (OSError, UnicodeError):
            if kwargs.get("flags", 0) & socket.AI_NUMERICHOST:
                raise
            host = look_up(str(host))
        return real(host, port, *args, **kwargs)

    return answer


def hanging(hang: Hang) -> Answer:
    """Every name hangs until the test lets go, and has no address then."""

    def look_up(_name: str) -> str:
        hang.wait()
        raise socket.gaierror

    return asking(look_up)
