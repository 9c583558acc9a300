"""What the Lua of plugins may ask of Kong and tell it about one request, phase by phase.

Not in the records: all but exit; after Kong's own sources.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.doubles.kong.exchange import Answer, Entity, Exchange


@dataclass(kw_only=True)
class Pdk:
    """One run of a function.

    `answer` and `source` (exit, service or error) are there on the way back; `service` is the one that the
    router found.
    """

    exchange: Exchange
    service: Entity | None = None
    answer: Answer | None = None
    source: str = ""

    def functions(self) -> dict[str, Callable[..., Any]]:
        """By the name that the sandbox gives them."""
        functions: dict[str, Callable[..., Any]] = {"get_header": self._get_header}
        if self.answer is None:
            return functions | {
                "set_header": self._set_header,
                "clear_header": self.exchange.clear,
                "set_target": self._set_target,
            }
        functions |= {
            "get_status": lambda: self.upstream_answer.status,
            "get_source": lambda: self.source,
            "set_response_header": self._set_response_header,
        }
        return functions | {
            "get_raw_body": lambda: self.upstream_answer.body.decode("latin-1"),
            "set_raw_body": self._set_raw_body,
        }

    @property
    def upstream_answer(self) -> Answer:
        assert self.answer is not None
        return self.answer

    def _get_header(self, name: str) -> str | None:
        return next(iter(self.exchange.all_headers(name)), None)

    def _set_header(self, name: str, value: str) -> None:
        if name.lower() == "host":
            self.exchange.upstream_host = value
        else:
            self.exchange.set_header(name, value)

    def _set_target(self, host: str, port: int) -> None:
        # The target takes the name for its own, until Host is set after it.
        self.exchange.target, self.exchange.upstream_host = (host, int(port)), host

    def _set_response_header(self, name: str, value: object) -> None:
        remaining = [
            (header, old) for header, old in self.upstream_answer.headers if header.lower() != name.lower()
        ]
        # The length is that of the body, which the socket counts again.
        self.upstream_answer.headers = (
            remaining if name.lower() == "content-length" else [*remaining, (name, str(value))]
        )

    def _set_raw_body(self, text: str) -> None:
        self.upstream_answer.body = text.encode("latin-1")
