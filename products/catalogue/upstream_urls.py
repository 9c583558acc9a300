"""An upstream as people write it, and as it is stored: http://host:port/path."""

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
    """The parts of an upstream's URL. `path` is put before the forwarded path: empty, or /base."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @classmethod
    def of(cls, service: ApiService) -> "UpstreamUrl":
        """Where a service lives."""
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
    """The parts of what somebody typed. Raises ValidationError in words."""
    if not re.match(r"https?://", text, re.IGNORECASE) or any(
        character <= " " for character in text
    ):  # urlsplit drops line breaks silently
        raise ValidationError(
            _("Begin with http:// or https://, as in http://billing-upstream:8080."), code="scheme"
        )
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").lower()
    except ValueError as problem:
        raise ValidationError(
            _("This is no URL such as http://billing-upstream:8080."), code="url"
        ) from problem
    if parts.username is not None or parts.password is not None:
        raise ValidationError(
            _("Leave out the user name and password: an upstream is called without them."), code="credentials"
        )
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValidationError(
            _("Leave out what stands behind ? or #: an upstream is a host, a port and perhaps a path."),
            code="query",
        )
    if not _is_host(host) or len(host) > 253:
        raise ValidationError(
            _("%(host)s is no host name or address that a gateway could call."),
            code="host",
            params={"host": host or text},
        )
    port = _port(parts)
    path = parts.path.rstrip("/")
    if not _PATH.match(path) or len(path) > 200 or any(segment in {".", ".."} for segment in path.split("/")):
        raise ValidationError(
            _(
                "The path of an upstream is made of letters, digits and the URL's plain signs, without . or .. segments."
            ),
            code="path",
        )
    scheme = parts.scheme.lower()
    return UpstreamUrl(scheme=scheme, host=host, port=port, path=path)


def _port(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:  # no number, or larger than any port
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
