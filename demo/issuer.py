"""A small issuer of tokens for the demo: `python -m demo.issuer PORT FOLDER`; gives a token to anybody.

Never for anything but a demo.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from demo.folder import write_private

PATH = "/realms/api"
AUDIENCE, SCOPES = "payment-api", "read write"
LASTS_S = 3600

Key = RSAKey | ECKey


class Issuer(ThreadingHTTPServer):
    """Discovery, keys of both kinds, and `/token` with audience, scope, alg, expires_in and sub, all
    optional.
    """

    daemon_threads = True

    def __init__(self, *, port: int, folder: Path) -> None:
        """Listen at once. The keys are made once and stay in the folder."""
        self.url = f"http://127.0.0.1:{port}{PATH}"
        self.keys: dict[str, Key] = {
            "RS256": _key_of(folder / "issuer-rs256.json", "RS256"),
            "ES256": _key_of(folder / "issuer-es256.json", "ES256"),
        }
        super().__init__(("127.0.0.1", port), _Door)

    def discovery(self) -> dict[str, Any]:
        """The OpenID configuration."""
        return {"issuer": self.url, "jwks_uri": f"{self.url}/jwks", "token_endpoint": f"{self.url}/token"}

    def jwks(self) -> dict[str, Any]:
        """The public halves."""
        return {"keys": [key.as_dict(private=False) for key in self.keys.values()]}

    def token(self, parameters: dict[str, str]) -> str:
        """A token with the claims of these parameters."""
        algorithm, now = parameters.get("alg", "RS256"), int(time.time())
        key = self.keys.get(algorithm, self.keys["RS256"])
        claims: dict[str, Any] = {
            "iss": self.url,
            "sub": parameters.get("sub", "demo-caller"),
            "aud": parameters.get("audience", AUDIENCE),
        }
        claims |= {
            "scope": parameters.get("scope", SCOPES),
            "iat": now,
            "exp": now + int(parameters.get("expires_in", LASTS_S)),
        }
        return jwt.encode({"alg": str(key.alg), "kid": key.kid}, claims, key, algorithms=["RS256", "ES256"])


class _Door(BaseHTTPRequestHandler):
    server: Issuer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == f"{PATH}/token":
            try:
                return self._say(200, self.server.token(dict(parse_qsl(parts.query))) + "\n", "text/plain")
            except ValueError:
                return self._say(400, "expires_in must be a number of seconds.\n", "text/plain")
        documents = {
            f"{PATH}/.well-known/openid-configuration": self.server.discovery,
            f"{PATH}/jwks": self.server.jwks,
        }
        if parts.path not in documents:
            return self._say(404, "There is nothing here.\n", "text/plain")
        return self._say(200, json.dumps(documents[parts.path]()), "application/json")

    do_POST = do_GET  # noqa: N815 (the name is the base class's)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name is the base class's)
        """Log nothing."""

    def _say(self, status: int, text: str, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


def _key_of(path: Path, algorithm: str) -> Key:
    kind: type[Key] = RSAKey if algorithm == "RS256" else ECKey
    if path.exists():
        return kind.import_key(json.loads(path.read_text()))
    members: Any = {"kid": f"demo-{algorithm.lower()}", "alg": algorithm, "use": "sig"}
    key = RSAKey.generate_key(2048, members) if algorithm == "RS256" else ECKey.generate_key("P-256", members)
    write_private(path, text=json.dumps(key.as_dict(private=True)))
    return key


if __name__ == "__main__":
    Issuer(port=int(sys.argv[1]), folder=Path(sys.argv[2])).serve_forever()
