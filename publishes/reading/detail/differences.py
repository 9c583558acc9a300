"""The differences between two specs, as texts grouped by service. Knows no database."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from agent.protocol.spec import Auth, Route, Service, Spec, State, Upstream
from core.problems import Text
from products.models import METHODS
from publishes.choices import AuthMode, Desired

FINGERPRINT_SHOWN = 12
Lines = dict[object, tuple[Text, Text]]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One line that differs; empty on the side that does not have it."""

    label: Text
    old: Text = ""
    new: Text = ""


@dataclass(frozen=True, kw_only=True)
class Group:
    """The changes of one service, or (without a name) of the publish itself."""

    name: str
    changes: tuple[Change, ...]
    is_new: bool = False
    is_removed: bool = False


def differences(old: Spec, new: Spec) -> tuple[Group, ...]:
    """All that differs but the generation: the publish itself first, then each service by name.

    A key is shown by its consumer and fingerprint.
    """
    # Only a live publish lets callers in, so its auth is compared with that of another live one alone.
    both_live = old.state is new.state is State.LIVE
    own = tuple(_changed(_settings(old, with_auth=both_live), _settings(new, with_auth=both_live)))
    groups = [Group(name="", changes=own)] if own else []
    return (
        *groups,
        *_services(
            {service.id: service for service in old.services},
            {service.id: service for service in new.services},
        ),
    )


def _services(old: Mapping[UUID, Service], new: Mapping[UUID, Service]) -> Iterator[Group]:
    services = {**old, **new}
    for key in sorted(services, key=lambda key: (services[key].name, str(key))):
        before, after = old.get(key), new.get(key)
        changes = tuple(_changed(_lines(before, other=after), _lines(after, other=before)))
        if changes:
            yield Group(
                name=services[key].name, changes=changes, is_new=before is None, is_removed=after is None
            )


def _changed(
    old: Mapping[object, tuple[Text, Text]], new: Mapping[object, tuple[Text, Text]]
) -> Iterator[Change]:
    """The keys of lines do not change: a route with another path is one change and not two."""
    for key in dict.fromkeys((*old, *new)):
        label, before = old.get(key, ("", ""))
        label_now, after = new.get(key, (label, ""))
        if before != after:
            yield Change(label=label_now, old=before, new=after)


def _settings(spec: Spec, *, with_auth: bool) -> Lines:
    auth = _auth(spec.auth) if with_auth else {}
    return {
        "state": (_("State"), Desired(spec.state.value).label),
        "host": (_("Hostname"), spec.host),
        **auth,
    }


def _auth(auth: Auth) -> Lines:
    lines: Lines = {
        "mode": (_("Authentication mode"), AuthMode(auth.mode.value).label),
        "key_header": (_("Key header"), auth.key_header),
        "issuer": ("Issuer", auth.issuer),
        "audience": ("Audience", auth.audience),
        "scopes": ("Scopes", " ".join(auth.scopes)),
    }
    keys: Lines = {
        ("key", key.id): (_("Key"), f"{key.consumer} · {key.fingerprint[:FINGERPRINT_SHOWN]}…")
        for key in auth.keys
    }
    signers: Lines = {
        ("jwk", str(jwk.get("kid"))): (_("Signing key"), str(jwk.get("kid"))) for jwk in auth.jwks
    }
    return {**lines, **keys, **signers}


def _lines(service: Service | None, *, other: Service | None) -> Lines:
    if service is None:
        return {}
    upstream = service.upstream
    renamed: Lines = {"name": (_("Name"), service.name)} if other else {}
    lines: Lines = {
        "upstream": (_("Upstream"), _address(upstream)),
        "connect": (_("Time to connect"), f"{upstream.connect_timeout_ms} ms"),
        "timeout": (_("Time to answer"), f"{upstream.timeout_ms} ms"),
    }
    return renamed | lines | {("route", route.id): (_("Route"), _route(route)) for route in service.routes}


def _address(upstream: Upstream) -> str:
    return f"{upstream.scheme}://{upstream.host}:{upstream.port}{upstream.path}"


def _route(route: Route) -> str:
    path = route.path if route.path == "/" else f"{route.path}/*"
    methods = ", ".join(sorted(route.methods, key=METHODS.index)) or _("all methods")
    return f"{methods} {path}" + (" → /" if route.strip_path else "")
