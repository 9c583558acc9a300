"""The SSRF guard: every connection of the control plane to a host that somebody entered.

Nothing else opens a socket.

The name is resolved once, each address is checked, and a checked address is connected to (no DNS rebinding).
No redirects, no proxy from the environment, a limit of the answer's size, one deadline to the last byte.
"""

import asyncio
import json
import re
import ssl
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from time import monotonic
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpx2
from django.conf import settings
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

import fence
from core.problems import Text
from core.security.names import ISSUERS, fence_around
from fence.lookups import Lookups

ANSWER_LIMIT = 256 * 1024
_ODD = re.compile(r"[\x00-\x20\x7f\\]")


class OutboundFailed(Exception):
    """No usable answer. `code` is stable, `text` is for people. A retry helps unless `is_final`."""

    def __init__(self, code: str, text: Text, *, is_final: bool = False) -> None:
        super().__init__(code)
        self.code, self.text, self.is_final = code, text, is_final


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Allowed targets: in `networks`, none of the `reserved` endpoints; plain http only in `http_networks`.

    `names` resolves the host, and counts the look-up for `owner`.
    """

    networks: tuple[str, ...]
    names: Lookups
    owner: Hashable
    reserved: tuple[str, ...] = ()
    http_networks: tuple[fence.Network, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request, with its deadline in seconds and the limit of the answer in bytes."""

    url: str
    method: str = "GET"
    content: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    deadline_s: float
    connect_s: float = 1.0
    limit: int = ANSWER_LIMIT


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A complete answer."""

    status: int
    body: bytes


def public_rules(owner: Hashable = None) -> Rules:
    """For issuers of providers: public addresses, and OUTBOUND_NETWORKS (plain http too)."""
    allowed = tuple(settings.OUTBOUND_NETWORKS)
    return Rules(
        networks=(*fence.PUBLIC, *allowed),
        names=ISSUERS,
        owner=owner,
        reserved=tuple(settings.RESERVED_ENDPOINTS),
        http_networks=fence.Fence.of(allowed).networks,
    )


def fetch_json(url: str, *, deadline_s: float, owner: Hashable = None) -> Any:
    """GET a JSON document of an issuer of the tenant `owner`.

    No transaction may be open. Raises OutboundFailed.
    """
    answer = ask(
        Request(url=url, headers={"Accept": "application/json"}, deadline_s=deadline_s), public_rules(owner)
    )
    if 300 <= answer.status < 400:
        raise OutboundFailed(
            "redirected",
            _("It answers with a redirect, which is not followed. Use its target address."),
            is_final=True,
        )
    if answer.status != 200:
        raise OutboundFailed("bad_status", format_lazy(_("It answers {status}."), status=answer.status))
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as problem:
        raise OutboundFailed("not_json", _("Its answer is not JSON.")) from problem


def ask(request: Request, rules: Rules) -> Answer:
    """One HTTP exchange, with any status. No transaction may be open. Raises OutboundFailed."""
    until = monotonic() + request.deadline_s
    parts = _checked_parts(request.url)
    address = _pinned(parts, rules, deadline_s=min(request.deadline_s, request.connect_s))
    try:
        return asyncio.run(_exchange(request, parts, address, until - monotonic()))
    except (TimeoutError, httpx2.TimeoutException) as problem:
        raise OutboundFailed("too_slow", _("It did not answer in time.")) from problem
    except httpx2.ConnectError as problem:
        raise OutboundFailed(
            "unreachable",
            _("The connection failed: no server is listening, or its certificate is invalid."),
        ) from problem
    except (httpx2.HTTPError, httpx2.InvalidURL) as problem:
        raise OutboundFailed(
            "unreachable", _("It closed the connection, or its answer is not HTTP.")
        ) from problem


def connections(
    targets: Iterable[tuple[fence.Address, ...]], port: int, *, deadline_s: float
) -> dict[tuple[fence.Address, ...], bool | None]:
    """Whether an address of each target accepts TCP: False when all refuse, None without an answer in time.

    All targets are tried at once, and nothing is sent. The caller has checked the addresses against a fence.
    """
    return asyncio.run(_connections(tuple(targets), port, deadline_s))


async def _connections(
    targets: Sequence[tuple[fence.Address, ...]], port: int, deadline_s: float
) -> dict[tuple[fence.Address, ...], bool | None]:
    answers = await asyncio.gather(*(_connects(addresses, port, deadline_s) for addresses in targets))
    return dict(zip(targets, answers, strict=True))


async def _connects(addresses: Sequence[fence.Address], port: int, deadline_s: float) -> bool | None:
    try:
        async with asyncio.timeout(deadline_s):
            for address in addresses:
                try:
                    _reader, writer = await asyncio.open_connection(str(address), port)
                except OSError:
                    continue
                writer.transport.abort()
                return True
    except TimeoutError:
        return None
    return False


def _checked_parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_right = (
            parts.scheme in {"http", "https"}
            and parts.hostname
            and not parts.username
            and not parts.password
            and parts.port != 0
        )
    except ValueError:
        is_right = False
    if not is_right or _ODD.search(url):
        raise OutboundFailed(
            "bad_url",
            _("It must be an address such as https://host/path, without a user name."),
            is_final=True,
        )
    return parts


def _pinned(parts: SplitResult, rules: Rules, *, deadline_s: float) -> fence.Address:
    host, until = str(parts.hostname), monotonic() + deadline_s
    around = fence_around(rules.networks, rules.reserved, deadline_s=deadline_s)
    try:
        addresses = fence.check(
            host,
            _port(parts),
            around,
            resolver=rules.names.find([[host]], deadline_s=until - monotonic(), owner=rules.owner),
        )
    except fence.FenceRefused as refusal:
        raise _not_pinned(refusal) from refusal
    is_allowed_plain = all(
        any(address in network for network in rules.http_networks) for address in addresses
    )
    if parts.scheme == "http" and not is_allowed_plain:
        raise OutboundFailed("not_https", _("It must begin with https://."), is_final=True)
    return addresses[0]


def _not_pinned(refusal: fence.FenceRefused) -> OutboundFailed:
    if isinstance(refusal.__cause__, TimeoutError):
        return OutboundFailed("slow_name", _("Its host name could not be resolved in time."))
    if refusal.code == "unresolvable":
        return OutboundFailed(refusal.code, _("Its host has no address."))
    return OutboundFailed(
        refusal.code, _("Its address is not public, and operators have not allowed it."), is_final=True
    )


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


@cache
def _tls() -> ssl.SSLContext:
    # Loading the certificate authorities takes longer than a request, so it is done once.
    return ssl.create_default_context()


async def _exchange(
    request: Request, parts: SplitResult, address: fence.Address, deadline_s: float
) -> Answer:
    # A deadline to the last byte needs a task, because a thread cannot be cancelled.
    literal = f"[{address}]" if address.version == 6 else str(address)
    url = parts._replace(netloc=f"{literal}:{_port(parts)}", fragment="").geturl()
    async with (
        asyncio.timeout(max(0.0, deadline_s)),
        httpx2.AsyncClient(trust_env=False, follow_redirects=False, verify=_tls()) as http,
    ):
        exchange = http.stream(
            request.method,
            url,
            content=request.content,
            headers={**request.headers, "Host": parts.netloc},
            timeout=httpx2.Timeout(deadline_s, connect=min(request.connect_s, deadline_s)),
            extensions={"sni_hostname": parts.hostname},
        )
        async with exchange as response:
            return Answer(status=response.status_code, body=await _limited(response, request.limit))


async def _limited(response: httpx2.Response, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > limit:
            raise OutboundFailed("too_large", _("Its answer is too large."))
    return bytes(body)
