"""The settings of each authentication mode, and the rules for their values. Asks no issuer."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from agent.protocol.headers import NEVER_PASSED_ON, SET_BY_GATEWAYS
from core.problems import Text
from publishes.choices import AuthMode

NAMES: dict[AuthMode, tuple[str, ...]] = {
    AuthMode.NONE: (),
    AuthMode.API_KEY: ("key_header",),
    AuthMode.OAUTH2: ("issuer_url", "audience", "scopes"),
}
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}")  # RFC 6749
_UNUSABLE_HEADERS: tuple[tuple[re.Pattern[str], Text], ...] = (
    (
        re.compile(
            "host|connection|keep-alive|proxy-.+|te|trailer|transfer-encoding|upgrade|http2-settings|expect|via"
            "|max-forwards|range|cookie|set-cookie|content-.+"
        ),
        _(
            "HTTP itself uses this header, so a key in it does not arrive. "
            "Choose another name, such as X-Api-Key."
        ),
    ),
    (
        re.compile(
            "|".join(
                (
                    *SET_BY_GATEWAYS,
                    *NEVER_PASSED_ON,
                    "x-forwarded-.+",
                    "x-envoy-.+",
                    "x-kong-.+",
                    "x-consumer-.+",
                    "x-credential-.+",
                )
            )
        ),
        _(
            "Gateways write this header themselves and drop what callers send in it. "
            "Choose another name, such as X-Api-Key."
        ),
    ),
    (
        re.compile("imp-.+"),
        _("Names that begin with imp- are kept for the gateway. Choose another name, such as X-Api-Key."),
    ),
)
"""Headers in which a key can never work, each with the reason. An underscore counts as a hyphen."""


class WrongConfig(Exception):
    """Missing or wrong settings: a message by the name of each. The empty name stands for all of them."""

    def __init__(self, texts: Mapping[str, Text]) -> None:
        super().__init__(*texts)
        self.texts = dict(texts)

    @property
    def sentences(self) -> list[Text]:
        """Each message after the name of its setting, for a door that shows all settings as one field."""
        return [sentence(name, text) if name else text for name, text in self.texts.items()]


def sentence(name: str, text: Text) -> Text:
    """`issuer_url: It must begin with https://.`"""
    return format_lazy("{name}: {text}", name=name, text=text)


def checked(mode: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as they are stored. Raises WrongConfig."""
    if not isinstance(raw, Mapping):
        raise WrongConfig({"": _("The settings of an authentication mode are an object.")})
    if unknown := sorted(set(raw) - set(NAMES[AuthMode(mode)])):
        raise WrongConfig(
            {
                "": _("The authentication mode %(mode)s has no setting %(names)s.")
                % {"mode": mode, "names": ", ".join(map(str, unknown))}
            }
        )
    if mode == AuthMode.API_KEY:
        return _api_key(raw)
    return _oauth2(raw) if mode == AuthMode.OAUTH2 else {}


def _api_key(raw: Mapping[str, Any]) -> dict[str, Any]:
    header = _text(raw, "key_header")
    if header and not _HEADER.fullmatch(header):
        raise WrongConfig(
            {
                "key_header": _(
                    "The name of a header such as apikey or X-Api-Key: "
                    "letters, digits, hyphens and underscores, at most 60."
                )
            }
        )
    for pattern, reason in _UNUSABLE_HEADERS:
        if pattern.fullmatch(header.lower().replace("_", "-")):
            raise WrongConfig({"key_header": reason})
    return {"key_header": header} if header else {}


def _oauth2(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Check every setting, so that the person reads all mistakes at once."""
    checked: dict[str, Any] = {}
    wrong: dict[str, Text] = {}
    for name, rule in (("issuer_url", _issuer), ("audience", _audience), ("scopes", _scopes)):
        try:
            checked[name] = rule(raw)
        except WrongConfig as problem:
            wrong |= problem.texts
    if wrong:
        raise WrongConfig(wrong)
    return checked


def _issuer(raw: Mapping[str, Any]) -> str:
    issuer = _text(raw, "issuer_url")
    if not issuer:
        raise WrongConfig({"issuer_url": _("Say which issuer the tokens come from.")})
    if not _is_issuer(issuer):
        raise WrongConfig(
            {
                "issuer_url": _(
                    "An address such as https://auth.example.com/realms/api, "
                    "without a question mark or a fragment."
                )
            }
        )
    return issuer


def _audience(raw: Mapping[str, Any]) -> str:
    audience = _text(raw, "audience")
    if not audience:
        raise WrongConfig({"audience": _("Say which audience the tokens must be for.")})
    return audience


def _scopes(raw: Mapping[str, Any]) -> list[str]:
    scopes = raw.get("scopes", [])
    listed = scopes.split() if isinstance(scopes, str) else scopes
    if (
        not isinstance(listed, list)
        or not all(isinstance(scope, str) and _SCOPE.fullmatch(scope) for scope in listed)
        or len(listed) > 20
    ):
        raise WrongConfig(
            {"scopes": _("Scopes are words of visible ASCII characters, at most 20, separated by spaces.")}
        )
    return list(dict.fromkeys(listed))


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name, "")
    if not isinstance(value, str) or len(value) > 500 or not value.isprintable():
        raise WrongConfig({name: _("A text of at most 500 characters.")})
    return value.strip()


def _is_issuer(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and not (parts.query or parts.fragment or "?" in text or "#" in text)
        and text.isascii()
    )
