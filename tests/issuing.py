"""An issuer of tokens over HTTP on loopback, for tests of the control plane; tests choose its documents."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pytest_django import Settings

from tests.agent import issuer as keys


class IssuerSite(ThreadingHTTPServer):
    """Discovery and keys; `jwks` are the keys, `document` changes the discovery, `status` breaks both."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/realms/api"
        self.jwks: Any = {"keys": list(keys.public(keys.rsa(), keys.ec()))}
        self.document: dict[str, Any] = {}
        self.status = 200
        self.requested_paths: list[str] = []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def config(self) -> dict[str, Any]:
        """Settings of a publish that believes it."""
        return {"issuer_url": self.url, "audience": "payment-api", "scopes": ["read", "write"]}

    def answer(self, path: str) -> Any:
        self.requested_paths.append(path)
        if path.endswith("/jwks"):
            return self.jwks
        document = {"issuer": self.url, "jwks_uri": f"{self.url}/jwks", **self.document}
        return {name: value for name, value in document.items() if value is not None}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        site: Any = self.server
        body = json.dumps(site.answer(self.path)).encode()
        self.send_response(site.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture
def issuer_site(settings: Settings) -> Iterator[IssuerSite]:
    """A running issuer that operators allow."""
    settings.OUTBOUND_NETWORKS = ["127.0.0.0/8"]
    site = IssuerSite()
    yield site
    site.shutdown()
    site.server_close()
