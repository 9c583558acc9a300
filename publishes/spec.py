"""From stored rows to the desired state: which services go to a gateway, and why the others do not."""

from dataclasses import dataclass
from operator import attrgetter

from django.db.models import Prefetch, Q, prefetch_related_objects
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from agent.protocol import spec as wire
from core.problems import Text
from products.models import ApiService, Product, Route
from publishes.choices import AuthMode, KeyState
from publishes.errors import IssuerUnknown, NothingToDeploy, PathsOverlap
from publishes.models import Issuer, ProductPublish

KEY_HEADER = "apikey"


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A service of the product that is not deployed, and the reason."""

    service: ApiService
    reason: Text


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What a publish of the product would carry now."""

    services: tuple[ApiService, ...]
    left_out: tuple[LeftOut, ...]


def select(product: Product, *, lock: bool = False) -> Selection:
    """All linked services that are active and have an active route; the others with the reason. Two queries.

    With `lock`, nobody changes a service or its routes until the transaction ends: what is read is one state
    of each.
    """
    services: list[ApiService] = []
    left_out: list[LeftOut] = []
    rows = product.services.order_by("pk").prefetch_related(_active_routes())
    for service in sorted(
        rows.select_for_update(of=["self"], no_key=True) if lock else rows, key=attrgetter("name")
    ):
        if service.status != ApiService.Status.ACTIVE:
            left_out.append(LeftOut(service=service, reason=_("The service is inactive.")))
        elif not routes_of(service):
            left_out.append(LeftOut(service=service, reason=_("The service has no active route.")))
        else:
            services.append(service)
    return Selection(services=tuple(services), left_out=tuple(left_out))


def routes_of(service: ApiService) -> list[Route]:
    """The active routes of a service that came from `select`."""
    routes: list[Route] = getattr(service, "active_routes")  # noqa: B009 - set by the prefetch above
    return routes


def services_of(selection: Selection) -> tuple[wire.Service, ...]:
    """The chosen services as a spec has them."""
    return tuple(_service(service) for service in selection.services)


def planned(service: ApiService) -> wire.Service | None:
    """The service as a publish would carry it now; None when it would be left out. One query."""
    prefetch_related_objects([service], _active_routes())
    return _service(service) if service.status == ApiService.Status.ACTIVE and routes_of(service) else None


def live(publish: ProductPublish) -> wire.Spec:
    """The product as it is now, for the publish's next generation; in a transaction.

    Raises NothingToDeploy, PathsOverlap or IssuerUnknown.
    """
    selection = deployable(publish.product, lock=True)
    return wire.Spec(
        publish_id=publish.pk,
        generation=publish.generation + 1,
        state=wire.State.LIVE,
        host=publish.hostname_base,
        auth=auth_of(publish),
        services=services_of(selection),
    )


def renewed(publish: ProductPublish, deployed: wire.Spec) -> wire.Spec:
    """The deployed spec with the credentials that are let in now, for the publish's next generation.

    Raises IssuerUnknown.
    """
    return deployed.model_copy(update={"generation": publish.generation + 1, "auth": auth_of(publish)})


def auth_of(publish: ProductPublish) -> wire.Auth:
    """What callers have to show now; keys by fingerprint. One query, none without auth.

    Raises IssuerUnknown.
    """
    config, mode = publish.auth_config, wire.AuthMode(publish.auth_mode)
    if publish.auth_mode == AuthMode.API_KEY:
        usable = publish.credentials.filter(
            Q(expires_at=None) | Q(expires_at__gt=Now()), state=KeyState.ACTIVE
        )
        rows = usable.order_by("created_at", "pk").values_list("pk", "consumer", "fingerprint")
        keys = tuple(
            wire.ApiKey(id=pk, consumer=consumer, fingerprint=fingerprint)
            for pk, consumer, fingerprint in rows
        )
        return wire.Auth(mode=mode, key_header=config.get("key_header", KEY_HEADER), keys=keys)
    if publish.auth_mode == AuthMode.OAUTH2:
        issuer = Issuer.objects.filter(url=config.get("issuer_url", "")).first()
        if issuer is None or not issuer.jwks:
            raise IssuerUnknown
        scopes = tuple(config.get("scopes", ()))
        return wire.Auth(
            mode=mode,
            issuer=issuer.url,
            audience=config.get("audience", ""),
            scopes=scopes,
            jwks=tuple(issuer.jwks),
        )
    return wire.Auth()


def deployable(product: Product, *, lock: bool = False) -> Selection:
    """What a publish of the product would carry now; `lock` as with `select`. Two queries.

    Raises NothingToDeploy or PathsOverlap.
    """
    selection = select(product, lock=lock)
    if not selection.services:
        raise NothingToDeploy
    _check_overlaps(selection.services)
    return selection


def withdrawn(publish: ProductPublish) -> wire.Spec:
    """The 410 state, for the publish's next generation."""
    return wire.Spec(
        publish_id=publish.pk,
        generation=publish.generation + 1,
        state=wire.State.WITHDRAWN,
        host=publish.claimed_host or publish.hostname_base,
    )


def absent(publish: ProductPublish) -> wire.Spec:
    """Nothing at all, for the publish's next generation."""
    return wire.Spec(publish_id=publish.pk, generation=publish.generation + 1, state=wire.State.ABSENT)


def _active_routes() -> "Prefetch[str]":
    return Prefetch(
        "routes", queryset=Route.objects.filter(status=Route.Status.ACTIVE), to_attr="active_routes"
    )


def _service(service: ApiService) -> wire.Service:
    upstream = wire.Upstream(
        scheme=service.upstream_scheme,
        host=service.upstream_host,
        port=service.upstream_port,
        path=service.upstream_path.rstrip("/"),
        connect_timeout_ms=service.connect_timeout_ms,
        timeout_ms=service.timeout_ms,
    )
    routes = tuple(
        wire.Route(id=r.pk, path=r.path, methods=tuple(sorted(r.methods)), strip_path=r.strip_path)
        for r in routes_of(service)
    )
    return wire.Service(id=service.pk, name=service.name, upstream=upstream, routes=routes)


def _check_overlaps(services: tuple[ApiService, ...]) -> None:
    by_path: dict[str, list[tuple[ApiService, Route]]] = {}
    for service in services:
        for route in routes_of(service):
            for first_service, first_route in by_path.setdefault(route.path, []):
                if _share_a_method(first_route, route):
                    names = {"first": first_service.name, "second": service.name, "path": route.path}
                    raise PathsOverlap(PathsOverlap.detail % names)
            by_path[route.path].append((service, route))


def _share_a_method(first: Route, second: Route) -> bool:
    """A route without methods answers every method."""
    return not first.methods or not second.methods or bool(set(first.methods) & set(second.methods))
