"""A small identity provider for tests, on a real socket: discovery, token and userinfo of OpenID Connect."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from joserfc import jwk, jwt

CLIENT_ID = "imp-gateway"


@dataclass
class Issuer:
    """The answers about each person who signs in; `token_requests` lists the requests for tokens."""

    url: str = ""
    person: dict[str, Any] = field(default_factory=dict)
    token_requests: list[dict[str, list[str]]] = field(default_factory=list)
    key: jwk.RSAKey = field(default_factory=lambda: jwk.RSAKey.generate_key(2048))
    is_broken: bool = False

    def answer(self, path: str) -> dict[str, Any]:
        """The JSON of one of its URLs."""
        if path.startswith("/.well-known/"):
            places = {
                "authorization_endpoint": "/authorize",
                "token_endpoint": "/token",
                "userinfo_endpoint": "/userinfo",
                "jwks_uri": "/jwks",
            }
            return {"issuer": self.url, **{name: self.url + place for name, place in places.items()}}
        if path == "/token":
            claims = {"iss": self.url, "aud": CLIENT_ID, "exp": 4102444800, "iat": 1, **self.person}
            return {
                "access_token": "access",
                "token_type": "Bearer",
                "id_token": jwt.encode({"alg": "RS256"}, claims, self.key),
            }
        return self.person


@contextmanager
def running() -> Iterator[Issuer]:
    """An issuer until the block ends."""
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(issuer.answer(self.path))

        def do_POST(self) -> None:
            issuer.token_requests.append(
                parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            )
            self._say(issuer.answer(self.path))

        def _say(self, answer: dict[str, Any]) -> None:
            self.send_response(500 if issuer.is_broken else 200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield issuer
    server.shutdown()
    server.server_close()
    thread.join()
