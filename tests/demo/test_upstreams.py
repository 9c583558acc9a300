"""The sample upstreams tell what arrived."""

import http.client
import json
from collections.abc import Iterator
from threading import Thread

import pytest

from demo.folder import free_port
from demo.upstreams import METHODS, Upstream


@pytest.fixture
def connection() -> Iterator[http.client.HTTPConnection]:
    with Upstream("billing", port=free_port()) as upstream:
        Thread(target=upstream.serve_forever, daemon=True).start()
        connection = http.client.HTTPConnection("127.0.0.1", upstream.server_port, timeout=5)
        yield connection
        connection.close()
        upstream.shutdown()


@pytest.mark.parametrize("method", [method for method in METHODS if method != "HEAD"])
def test_every_method_is_answered_with_what_arrived(
    connection: http.client.HTTPConnection, method: str
) -> None:
    connection.request(method, "/invoices/7?x=1", body=b"12345", headers={"X-Mixed-Case": "Kept"})
    answer = connection.getresponse()
    echo = json.loads(answer.read())
    assert answer.status == 200
    assert answer.getheader("Content-Type") == "application/json"
    assert (echo["service"], echo["method"], echo["path"], echo["body_bytes"]) == (
        "billing",
        method,
        "/invoices/7?x=1",
        5,
    )
    assert echo["headers"]["x-mixed-case"] == "Kept"


def test_one_connection_serves_many_requests_chunked_bodies_and_heads_included(
    connection: http.client.HTTPConnection,
) -> None:
    connection.request(
        "POST",
        "/",
        body=iter([b"abc", b"defg"]),
        encode_chunked=True,
        headers={"Transfer-Encoding": "chunked"},
    )
    assert json.loads(connection.getresponse().read())["body_bytes"] == 7
    local = connection.sock.getsockname()
    connection.request("HEAD", "/")
    assert connection.getresponse().read() == b""
    connection.request("GET", "/")
    assert json.loads(connection.getresponse().read())["body_bytes"] == 0
    assert connection.sock.getsockname() == local
