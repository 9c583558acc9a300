"""The public keys of issuers: fetched when settings are saved, and every five minutes while they are in use.

The only module that asks an issuer anything. When an issuer does not answer, its stored keys stay.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from core.problems import Text
from core.security.outbound import OutboundFailed, fetch_json
from core.texts import is_storable, storable
from publishes.choices import AuthMode, EventKind
from publishes.models import Issuer, ProductPublish, PublishEvent

log = structlog.get_logger(__name__)

ASK_S = 1.4
"""For both documents together: a page that waits for them answers within two seconds."""

REFRESH_S = 5.0
"""For the beat: no person waits."""

DISCOVERY = "/.well-known/openid-configuration"
KEYS_AT_MOST = 10
"""A gateway tries each of them with a token that names none, and all tenants share the gateway."""

ASK_AT_ONCE = 16
_PUBLIC = {"RSA": ("kty", "kid", "use", "alg", "n", "e"), "EC": ("kty", "kid", "use", "alg", "crv", "x", "y")}
_KID_LENGTH = 200
_SMALLEST_RSA, _LARGEST_RSA = 2048, 4096
_LARGEST_EXPONENT = 2**32


class IssuerRefused(Exception):
    """The issuer's keys cannot be had: `text` says why. `is_final`: trying again does not help."""

    def __init__(self, text: Text, *, is_final: bool = True) -> None:
        super().__init__(str(text))
        self.text, self.is_final = text, is_final


@dataclass(frozen=True, kw_only=True)
class IssuerKeys:
    """The usable keys that an issuer publishes now, sorted by name, with public members alone."""

    url: str
    jwks: tuple[dict[str, Any], ...]


def look_up(url: str, *, owner: UUID | None = None, deadline_s: float = ASK_S) -> IssuerKeys:
    """Ask an issuer for its keys; the lookups of names count for the tenant `owner`. No query.

    No transaction may be open. Raises IssuerRefused.
    """
    until = monotonic() + deadline_s
    fetch = partial(_fetched, owner=owner, until=until)
    document = fetch(url.rstrip("/") + DISCOVERY, title=_("The issuer's configuration"))
    if not isinstance(document, dict) or "issuer" not in document:
        raise IssuerRefused(_("What answers there is no issuer's configuration."))
    if document["issuer"] != url:
        raise IssuerRefused(
            format_lazy(
                _("The issuer calls itself {name}. Write it exactly so."),
                name=storable(str(document["issuer"]), most=200),
            )
        )
    if not isinstance(document.get("jwks_uri"), str):
        raise IssuerRefused(_("The issuer's configuration names no keys (jwks_uri)."))
    keys = _usable(fetch(document["jwks_uri"], title=_("The issuer's keys (jwks_uri)")))
    if not keys:
        raise IssuerRefused(
            _(
                "The issuer publishes no key that can be used: "
                "RS256 with 2048 to 4096 bits, or ES256, each with a kid."
            )
        )
    return IssuerKeys(url=url, jwks=keys)


def learn(url: str, *, owner: UUID | None = None) -> None:
    """Ask an issuer and store its keys; the sweep sends what changed. One query without changes.

    Raises IssuerRefused.
    """
    published = look_up(url, owner=owner)
    if not Issuer.objects.filter(url=url, jwks=list(published.jwks), failing_since=None).exists():
        _store(published)


def refresh_all() -> None:
    """Ask every issuer in use again, several at a time, because one may hang. The beat calls this.

    The sweep sends changed keys. When an issuer gives none its old keys stay, and its row says since when.
    """
    in_use = (
        ProductPublish.objects.filter(auth_mode=AuthMode.OAUTH2, deleted_at=None)
        .values_list("auth_config__issuer_url", "tenant_id")
        .distinct()
    )
    owners = {url: owner for url, owner in in_use if url}
    with ThreadPoolExecutor(ASK_AT_ONCE) as pool:
        lookups = [
            (url, pool.submit(look_up, url, owner=owners[url], deadline_s=REFRESH_S))
            for url in sorted(owners)
        ]
        for url, answer in lookups:
            try:
                _store(answer.result())
            except IssuerRefused as problem:
                _note_failure(url, problem)
            except Exception:  # one issuer's surprise must not keep the others from their turn
                log.exception("bug", doing="refresh_issuer", issuer=url)


@transaction.atomic
def _store(published: IssuerKeys) -> None:
    """Store the published keys and, when they replace other keys, ask for syncs: both or neither."""
    Issuer.objects.bulk_create([Issuer(url=published.url)], ignore_conflicts=True)
    issuer = Issuer.objects.select_for_update().get(url=published.url)
    has_changed = bool(issuer.jwks) and issuer.jwks != list(published.jwks)
    issuer.jwks, issuer.fetched_at, issuer.failing_since, issuer.reason = (
        list(published.jwks),
        timezone.now(),
        None,
        {},
    )
    issuer.save(update_fields=["jwks", "fetched_at", "failing_since", "reason", "updated_at"])
    if has_changed:
        believing = ProductPublish.objects.filter(
            auth_mode=AuthMode.OAUTH2, auth_config__issuer_url=published.url, deleted_at=None
        )
        publish_ids = list(
            believing.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True)
        )
        ProductPublish.objects.filter(pk__in=publish_ids).update(sync_wanted=True, updated_at=timezone.now())
        PublishEvent.objects.bulk_create(
            PublishEvent(publish_id=pk, kind=EventKind.ISSUER_CHANGED) for pk in publish_ids
        )


def _note_failure(url: str, problem: IssuerRefused) -> None:
    reason = {language: _in_language(problem.text, language) for language, _name in settings.LANGUAGES}
    Issuer.objects.filter(url=url, failing_since=None).update(failing_since=timezone.now())
    Issuer.objects.filter(url=url).update(reason=reason)
    log.warning("issuer_not_refreshed", issuer=url, reason=reason["en"])


def _in_language(text: Text, language: str) -> str:
    with override(language):
        return str(text)


def _fetched(url: str, *, owner: UUID | None, until: float, title: Text) -> Any:
    try:
        return fetch_json(url, owner=owner, deadline_s=until - monotonic())
    except OutboundFailed as problem:
        raise IssuerRefused(
            format_lazy("{what}: {why}", what=title, why=problem.text), is_final=problem.is_final
        ) from problem


def _usable(document: Any) -> tuple[dict[str, Any], ...]:
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise IssuerRefused(_("What answers at jwks_uri is no set of keys."))
    keys: dict[str, dict[str, Any]] = {}
    for key in filter(None, map(_public, listed)):
        keys[key["kid"]] = key
        if len(keys) > KEYS_AT_MOST:
            text = _(
                "The issuer publishes more than {n} keys. "
                "Each costs the gateway time with every token that names none of them."
            )
            raise IssuerRefused(format_lazy(text, n=KEYS_AT_MOST))
    return tuple(keys[name] for name in sorted(keys))


def _public(jwk: Any) -> dict[str, Any] | None:
    """The public members of a key that may sign tokens, with its algorithm; None for any other key.

    Raises IssuerRefused for a key that is too large.
    """
    if (
        not isinstance(jwk, dict)
        or jwk.get("kty") not in _PUBLIC
        or jwk.get("use", "sig") != "sig"
        or not jwk.get("kid")
    ):
        return None
    members: dict[str, Any] = {name: str(jwk[name]) for name in _PUBLIC[jwk["kty"]] if name in jwk}
    are_storable = all(is_storable(str(value)) for value in members.values())
    if not are_storable or not members["kid"].isprintable() or len(members["kid"]) > _KID_LENGTH:
        return None
    try:
        algorithm = _algorithm_of(members)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return {**members, "alg": algorithm} if algorithm and jwk.get("alg", algorithm) == algorithm else None


def _algorithm_of(jwk: dict[str, Any]) -> str:
    if jwk["kty"] == "RSA":
        key = RSAKey.import_key(jwk).public_key
        if key.key_size > _LARGEST_RSA or key.public_numbers().e > _LARGEST_EXPONENT:
            raise IssuerRefused(
                format_lazy(
                    _("The issuer's key {kid} is larger than RSA of {bits} bits."),
                    kid=jwk["kid"],
                    bits=_LARGEST_RSA,
                )
            )
        return "RS256" if key.key_size >= _SMALLEST_RSA else ""
    return "ES256" if ECKey.import_key(jwk).curve_name == "P-256" else ""
