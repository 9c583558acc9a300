"""One request on its way through the proxy, and the answers that Kong itself gives."""

import json
from dataclasses import dataclass, field
from typing import Any

Entity = dict[str, Any]
_HTML = (
    '<!doctype html>\n<html>\n  <head>\n    <meta charset="utf-8">\n    <title>Error</title>\n'
    "  </head>\n  <body>\n"
    "    <h1>Error</h1>\n    <p>{message}.</p>\n    <p>request_id: {id}</p>\n  </body>\n</html>\n"
)
_PLAIN = "{message}\nrequest_id: {id}\n"
Headers = list[tuple[str, str]]


@dataclass(kw_only=True)
class Answer:
    """What goes back to the caller."""

    status: int
    headers: Headers
    body: bytes

    @classmethod
    def json(cls, status: int, body: Any, *, headers: dict[str, str] | None = None) -> "Answer":
        """A JSON answer as Kong writes it."""
        kind = ("Content-Type", "application/json; charset=utf-8")
        return cls(
            status=status,
            headers=[kind, *(headers or {}).items()],
            body=json.dumps(body, ensure_ascii=False).encode(),
        )


@dataclass(kw_only=True)
class Exchange:
    """A request as plugins see and change it. `path` is normal; `headers` go on to the upstream."""

    id: str
    method: str
    raw_path: str
    path: str
    query: str
    host: str
    headers: Headers
    body: bytes
    consumer: Entity | None = None
    credential: Entity | None = None
    shared: dict[str, Any] = field(default_factory=dict)
    target: tuple[str, int] | None = None
    """Where plugins want the request to go, instead of the service's host and port."""
    upstream_host: str = ""
    """The Host header that plugins want ("" for the service's)."""

    def all_headers(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for header, value in self.headers if header.lower() == name.lower()]

    def set_header(self, name: str, value: str | None) -> None:
        """Set a header, or remove it."""
        self.headers = [(header, old) for header, old in self.headers if header.lower() != name.lower()]
        if value is not None:
            self.headers.append((name, value))

    def clear(self, name: str) -> None:
        """Remove a header. Not in the records: kong.service.request.clear_header."""
        self.set_header(name, None)

    def problem(
        self, status: int, message: str, *, headers: dict[str, str], from_nginx: bool = False
    ) -> Answer:
        """Kong's own error, in the form that the caller accepts.

        `from_nginx`: raised outside of Lua, where plain text is the default.
        """
        accept = next(iter(self.all_headers("accept")), "")
        if not accept and from_nginx:
            accept = next(iter(self.all_headers("content-type")), "text/plain")
        kind = next(
            (kind for kind in ("text/html", "text/plain") if accept.startswith(kind)), "application/json"
        )
        if kind == "application/json":
            return Answer.json(status, {"message": message, "request_id": self.id}, headers=headers)
        text = (_HTML if kind == "text/html" else _PLAIN).format(message=message, id=self.id)
        return Answer(
            status=status,
            headers=[("Content-Type", f"{kind}; charset=utf-8"), *headers.items()],
            body=text.encode(),
        )
