"""Replays exchanges recorded from a real Kong against the double, and says where the answers differ."""

import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.doubles.kong.node import Kong

RECORDS = Path(__file__).parent / "records"
PLACEHOLDER = re.compile(r"<(uuid|key|secret|offset|ts)(:\d+)?>")
ANYTHING = re.compile(
    r"<(request_id|node_id|pid|seconds|proxy_port|https_port|hostname|lua_version|size|n"
    r"|YAML text|as sent|hash:\d|\.\.\.)>"
)
Line = dict[str, Any]


def lines(name: str) -> list[Line]:
    """The recorded exchanges, in their order."""
    return [json.loads(line) for line in (RECORDS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@dataclass
class Replay:
    """One run against one node. Placeholders are bound at their first sight."""

    kong: Kong
    bound: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, Any] = field(default_factory=dict)
    last_config: str = ""

    def difference(self, line: Line) -> str:
        """Send the line's request; what differs in the answer ("" for nothing)."""
        if line["step"].endswith("-fresh"):
            self.bound = {name: value for name, value in self.bound.items() if not name.startswith("<ts")}
        status, headers, body = self._send(line)
        expected = line["response"]
        if status != expected["status"]:
            return f"status {status} instead of {expected['status']}: {body!r}"
        for name, value in expected["headers"].items():
            if why := self._unlike(value, headers.get(name.lower()), is_part=False, at=name):
                return why
        if expected.get("trimmed") and expected["body"] is None:
            return ""
        return self._unlike(expected["body"], body, is_part=bool(expected.get("trimmed")), at="body")

    def _send(self, line: Line) -> tuple[int | None, dict[str, str], Any]:
        request = line["request"]
        port = {
            "proxy": self.kong.proxy_port,
            "admin": self.kong.admin_port,
            "status": self.kong.status_port,
        }[line["plane"]]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        if not request["path"].isascii():
            return self._send_raw(port, request)
        connection.putrequest(
            request["method"], self._filled(request["path"]), skip_host=True, skip_accept_encoding=True
        )
        body = self._body(line)
        headers = {"Host": "localhost", **(request["headers"] or {})}
        for name, value in headers.items():
            for entry in value if isinstance(value, list) else [value]:
                connection.putheader(name, entry)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        try:
            response = connection.getresponse()
            return (
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                _read(response.read()),
            )
        except (http.client.HTTPException, OSError):
            return None, {}, None
        finally:
            connection.close()

    def _send_raw(self, port: int, request: Line) -> tuple[int | None, dict[str, str], Any]:
        """A path that no well-behaved client sends."""
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(
                f"{request['method']} {request['path']} HTTP/1.1\r\n"
                f"Host: {request['headers']['Host']}\r\nConnection: close\r\n\r\n".encode()
            )
            response = http.client.HTTPResponse(connection)
            response.begin()
            return (
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                _read(response.read()),
            )

    def _body(self, line: Line) -> bytes | None:
        body, step = line["request"]["body"], line["step"]
        if body is None:
            return None
        if isinstance(body, dict):
            body = self._whole(step, body)
            return json.dumps(self._filled(body), ensure_ascii=False).encode()
        return str(self._filled(body)).encode()

    def _whole(self, step: str, body: Line) -> Line:
        """Put back the long texts that the records leave out."""
        if body.get("config") == "<the same text>":
            return {"config": self.last_config}
        if body.get("config") == "<11 MiB of text>":
            return {"config": "x" * 11 * 1024 * 1024}
        if isinstance(body.get("config"), str):
            self.last_config = body["config"]
        for code in (
            (body.get("config") or {}).get("access", []) if isinstance(body.get("config"), dict) else []
        ):
            if match := re.fullmatch(r"<same text as in ([\w-]+)>", code):
                return {**body, "config": self.texts[match.group(1)]}
        self.texts[step] = body.get("config")
        return body

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._filled(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [self._filled(entry) for entry in value]
        return (
            PLACEHOLDER.sub(lambda match: str(self.bound[match.group()]), value)
            if isinstance(value, str)
            else value
        )

    def _unlike(self, expected: Any, actual: Any, *, is_part: bool, at: str) -> str:
        if isinstance(expected, dict) and isinstance(actual, dict):
            return self._unlike_dict(expected, actual, is_part=is_part, at=at)
        if isinstance(expected, list) and isinstance(actual, list):
            if len(expected) != len(actual):
                return f"{at}: {actual!r} instead of {expected!r}"
            return next(
                (
                    why
                    for index, entry in enumerate(expected)
                    if (why := self._unlike(entry, actual[index], is_part=is_part, at=f"{at}.{index}"))
                ),
                "",
            )
        if isinstance(expected, str):
            return self._unlike_text(expected, actual, at=at)
        return "" if expected == actual else f"{at}: {actual!r} instead of {expected!r}"

    def _unlike_dict(self, expected: Line, actual: Line, *, is_part: bool, at: str) -> str:
        named = {self._resolved(key): value for key, value in expected.items()}
        if (
            not is_part
            and (extra := set(actual) - set(named))
            and not any(key.startswith("<") for key in named)
        ):
            return f"{at}: {sorted(extra)} too much"
        for key, value in named.items():
            if key not in actual and not key.startswith("<"):
                return f"{at}: {key} missing"
            if key in actual and (why := self._unlike(value, actual[key], is_part=is_part, at=f"{at}.{key}")):
                return why
        return ""

    def _resolved(self, key: str) -> str:
        return str(self.bound.get(key, key))

    def _unlike_text(self, expected: str, actual: Any, *, at: str) -> str:
        if isinstance(actual, list) and (match := re.fullmatch(r"<(\d+) entries>", expected)):
            return (
                ""
                if len(actual) == int(match.group(1))
                else f"{at}: {len(actual)} entries instead of {expected}"
            )
        if PLACEHOLDER.fullmatch(expected) and expected != "<ts>":
            return (
                ""
                if self.bound.setdefault(expected, actual) == actual
                else f"{at}: {actual!r} instead of {expected} = {self.bound[expected]!r}"
            )
        pattern = re.escape(expected)
        for mark in {*PLACEHOLDER.finditer(expected), *ANYTHING.finditer(expected)}:
            pattern = pattern.replace(re.escape(mark.group()), self._pattern(mark.group()))
        if "same text as in" in expected or "<YAML text>" in expected:
            return ""
        return (
            ""
            if re.fullmatch(pattern, str(actual), re.DOTALL)
            else f"{at}: {actual!r} instead of {expected!r}"
        )

    def _pattern(self, mark: str) -> str:
        return re.escape(str(self.bound[mark])) if mark in self.bound else ".*"


def _read(body: bytes) -> Any:
    text = body.decode("utf-8")
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


class Echo(ThreadingHTTPServer):
    """A recorded upstream: `kind` is echo (its request), drop (closes), deaf (no answer) or sorry (503)."""

    daemon_threads = True

    def __init__(self, kind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Echo)
        self.kind, self.closed = kind, threading.Event()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def handle_error(self, *_: Any) -> None:
        """Callers that went away are no news."""

    def close(self) -> None:
        self.closed.set()
        self.shutdown()
        self.server_close()


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        kind = self.server.kind  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if kind == "deaf":
            self.server.closed.wait(5)  # type: ignore[attr-defined]
        if kind in {"deaf", "drop"}:
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = (
            {"method": self.command, "path": self.path, "headers": headers, "body": body.decode()}
            if kind == "echo"
            else {"error": "upstream says no"}
        )
        text = json.dumps(answer).encode()
        self.send_response_only(200 if kind == "echo" else 503)
        self.send_header("Content-Type", "application/json" if kind == "echo" else "application/problem+json")
        if kind == "sorry":
            self.send_header("Retry-After", "7")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text if self.command != "HEAD" else b"")

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = _answer

    def log_message(self, *_: Any) -> None:
        pass


def upstreams() -> Iterator[dict[int, int]]:
    """The recorded upstreams on free ports: recorded port → real port."""
    servers = {9901: Echo("echo"), 9902: Echo("deaf"), 9903: Echo("drop"), 9904: Echo("sorry")}
    yield {port: server.server_address[1] for port, server in servers.items()} | {9909: 1}
    for server in servers.values():
        server.close()
