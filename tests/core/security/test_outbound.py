"""The SSRF guard: which hosts are never called, in any spelling, and the bounds of an answer."""

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pytest_django import Settings

import fence
from core.security import outbound
from core.security.outbound import OutboundFailed, fetch_json, public_rules
from tests.hang import Hang
from tests.names import asking, hanging

SHUT = [
    # loopback and this host
    *(
        "127.0.0.1",
        "127.0.0.2",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "0",
        "0.1.2.3",
    ),
    *(
        "0.0.0.0",  # noqa: S104
        "localhost",
        "LocalHost",
        "api.localhost",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
    ),
    # mapped, compatible, translated and tunnelled spellings of the same
    *(
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::808:808]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
    ),
    *("[2002:a9fe:a9fe::1]", "[2001:0:7f00:1::]", "[::ffff:0:127.0.0.1]"),
    # private, shared, link-local and metadata
    *(
        "10.0.0.1",
        "10.1",
        "172.16.0.1",
        "172.31.255.254",
        "192.168.0.1",
        "0300.0250.0.1",
        "100.64.0.1",
        "100.127.255.254",
        "169.254.169.254",
    ),
    *(
        "2852039166",
        "0xa9fea9fe",
        "[::ffff:10.0.0.1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fe80::1%251]",
        "[fec0::1]",
    ),
    *("100.100.100.200", "168.63.129.16", "192.0.0.192"),
    # no host of the internet
    *(
        "192.0.0.8",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[ff02::1]",
        "[2001:db8::1]",
        "[100::1]",
    ),
    # what some versions of Python take for public and others do not
    *(
        "192.0.0.9",
        "[2001:1::1]",
        "[2001:4:112::1]",
        "[2001:20::1]",
        "[2002:101:101::1]",
        "[64:ff9b:1::1]",
        "[3fff::1]",
        "[5f00::1]",
    ),
]
ODD = [
    *(
        "",
        "issuer.example",
        "//issuer.example/",
        "ftp://issuer.example/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user@issuer.example/",
    ),
    *(
        "https://issuer.example:pass@127.0.0.1/",
        "https://issuer.example\\@127.0.0.1/",
        "https://issuer.example:0/",
        "https://issuer.example:99999/",
        "https://[::1",
    ),
    *(
        "https://issuer.example/\r\nHost: x",
        "https://issuer .example/",
        "https://issuer.example/\x00",
        "javascript:alert(1)",
    ),
]


def refused(url: str, *, deadline_s: float = 2.0, message: str = "") -> str:
    with pytest.raises(OutboundFailed) as caught:
        fetch_json(url, deadline_s=deadline_s)
    assert message in str(caught.value.text) != ""
    return caught.value.code


@pytest.fixture
def no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_args: Any, **_kwargs: Any) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(outbound, "_exchange", opened)


@pytest.mark.usefixtures("no_socket")
@pytest.mark.parametrize("host", SHUT)
def test_no_spelling_of_an_address_that_is_not_public_is_asked(host: str) -> None:
    assert len(SHUT) >= 40
    assert refused(f"https://{host}/") in {"special_address", "not_allowed", "unresolvable"}


@pytest.mark.usefixtures("no_socket")
@pytest.mark.parametrize("url", ODD)
def test_what_is_no_plain_web_address_is_not_asked(url: str) -> None:
    assert refused(url) == "bad_url"


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "2001:200::1"])
def test_public_addresses_are_open(address: str) -> None:
    literal = f"[{address}]" if ":" in address else address
    around = fence.Fence.of(public_rules().networks)
    assert fence.check(literal.strip("[]"), 443, around) == [ipaddress.ip_address(address)]


@pytest.mark.usefixtures("no_socket")
def test_one_bad_address_among_good_ones_shuts_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("1.1.1.1", "10.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: resolved)
    assert refused("https://issuer.example/") == "not_allowed"


@pytest.mark.usefixtures("no_socket")
def test_plain_http_is_for_networks_that_operators_named(settings: Settings) -> None:
    settings.OUTBOUND_NETWORKS = ["127.0.0.0/8"]
    assert refused("http://1.1.1.1/") == "not_https"
    settings.OUTBOUND_NETWORKS = []
    assert refused("http://127.0.0.1/") == "special_address"


class Site(ThreadingHTTPServer):
    """A web server that answers as a test says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer: Callable[[BaseHTTPRequestHandler], None] = lambda handler: write(handler, b'{"a": 1}')
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, *_args: Any) -> None:
        """A client that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        site: Any = self.server
        site.asked.append((self.path, dict(self.headers)))
        site.answer(self)

    def log_message(self, *_args: Any) -> None:
        pass


def write(handler: BaseHTTPRequestHandler, body: bytes, *, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def site(settings: Settings) -> Iterator[Site]:
    settings.OUTBOUND_NETWORKS = ["127.0.0.0/8"]
    server = Site()
    yield server
    server.shutdown()
    server.server_close()


def test_an_allowed_host_is_asked_by_its_own_name(site: Site) -> None:
    port = site.server_address[1]
    assert fetch_json(f"http://keys.localhost:{port}/a?b=c#d", deadline_s=2) == {"a": 1}
    ((path, headers),) = site.asked
    assert (path, headers["Host"]) == ("/a?b=c", f"keys.localhost:{port}")


def test_a_name_that_changes_its_mind_is_asked_at_the_address_that_was_checked(
    site: Site, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The resolver rebinds: a good address for the check, a bad one afterwards."""
    lookups: list[str] = []

    def rebinding(name: str) -> str:
        lookups.append(name)
        return "127.0.0.1" if len(lookups) == 1 else "127.0.0.9"

    monkeypatch.setattr(socket, "getaddrinfo", asking(rebinding))
    assert fetch_json(f"http://rebinding.example:{site.server_address[1]}/", deadline_s=2) == {"a": 1}
    assert lookups == ["rebinding.example"]


def test_our_own_ports_are_not_asked(site: Site, settings: Settings) -> None:
    settings.RESERVED_ENDPOINTS = [site.url.removeprefix("http://")]
    assert refused(site.url) == "reserved"
    assert site.asked == []


def test_the_environment_s_proxy_is_not_used(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert fetch_json(site.url, deadline_s=2) == {"a": 1}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (301, "redirected"),
        (302, "redirected"),
        (308, "redirected"),
        (404, "bad_status"),
        (500, "bad_status"),
        (204, "bad_status"),
    ],
)
def test_redirects_are_not_followed_and_other_answers_are_none(site: Site, status: int, code: str) -> None:
    site.answer = lambda handler: write(handler, b"", status=status, Location=site.url + "/other")
    assert refused(site.url) == ("redirected" if 300 <= status < 400 else "bad_status")
    assert len(site.asked) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_is_no_answer(site: Site, body: bytes) -> None:
    site.answer = lambda handler: write(handler, body)
    assert refused(site.url) == "not_json"


def test_an_answer_may_have_256_kib_and_not_a_byte_more(site: Site) -> None:
    site.answer = lambda handler: write(handler, b'"' + b"a" * (256 * 1024 - 2) + b'"')
    assert len(fetch_json(site.url, deadline_s=2)) == 256 * 1024 - 2
    site.answer = lambda handler: write(handler, b'"' + b"a" * (256 * 1024 - 1) + b'"')
    assert refused(site.url) == "too_large"


def test_one_deadline_is_over_all_of_it_to_the_last_byte(site: Site, hang: Hang) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in hang.steps(every_s=0.05):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    site.answer = drip
    assert refused(site.url, deadline_s=0.3) == "too_slow"
    assert hang.lasts


@pytest.mark.usefixtures("site")
def test_a_name_that_hangs_and_a_port_that_is_shut_are_no_answer(
    monkeypatch: pytest.MonkeyPatch, hang: Hang
) -> None:
    assert (
        refused("http://127.0.0.1:9/", message="The connection failed: no server is listening")
        == "unreachable"
    )
    monkeypatch.setattr(socket, "getaddrinfo", hanging(hang))
    assert refused("https://hanging.example/", deadline_s=0.2) == "slow_name"
    assert hang.lasts
