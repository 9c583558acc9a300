"""Upstream URLs, as typed and as stored: http://host:port/path."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from products.models import ApiService

_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*\Z")
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*/?\Z")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True)
class UpstreamUrl:
    """The parts of an upstream's URL. `path` is the prefix of forwarded paths: empty, or /base."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @classmethod
    def of(cls, service: ApiService) -> "UpstreamUrl":
        """The upstream of a service."""
        return cls(
            scheme=service.upstream_scheme,
            host=service.upstream_host,
            port=service.upstream_port,
            path=service.upstream_path,
        )

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if _PORTS.get(self.scheme) == self.port else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"


def parse(text: str) -> UpstreamUrl:
    """Parse a typed URL. Raises ValidationError."""
    has_blank = any(character <= " " for character in text)  # urlsplit drops line breaks silently
    if has_blank or not re.match(r"https?://", text, re.IGNORECASE):
        raise ValidationError(
            _("Start with http:// or https://, as in http://billing-upstream:8080."), code="scheme"
        )
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").lower()
    except ValueError as problem:
        raise ValidationError(
            _("This is not a URL such as http://billing-upstream:8080."), code="url"
        ) from problem
    if parts.username is not None or parts.password is not None:
        raise ValidationError(
            _("Remove the user name and password: an upstream is called without them."), code="credentials"
        )
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValidationError(
            _("Remove everything after ? or #: an upstream is a host, a port and an optional path."),
            code="query",
        )
    if not _is_host(host) or len(host) > 253:
        raise ValidationError(
            _("%(host)s is not a valid host name or address."),
            code="host",
            params={"host": host or text},
        )
    port, path = _port(parts), parts.path.rstrip("/")
    if not _PATH.match(path) or len(path) > 200 or any(segment in {".", ".."} for segment in path.split("/")):
        raise ValidationError(
            _(
                "The path of an upstream has letters, digits and plain URL characters, "
                "without . or .. segments."
            ),
            code="path",
        )
    return UpstreamUrl(scheme=parts.scheme.lower(), host=host, port=port, path=path)


def _port(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:  # not a number, or too large
        port = 0
    if port == 0:
        raise ValidationError(_("A port is a number from 1 to 65535."), code="port")
    return port or _PORTS[parts.scheme.lower()]


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return bool(_NAME.match(host))
    return "%" not in host
