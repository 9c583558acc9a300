"""The demo's data: people, the Payment API with its three services, three clusters and their gateways.

Seeding again changes nothing but what the ports of this start demand. No publish is ever seeded on kr-prod.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction

from clusters.models import Agent, Cluster, ClusterTenant
from clusters.services import create_enrolment_code
from core.problems import Unauthenticated
from gateways.models import Gateway, GatewayCluster, Listener
from products.models import ApiService, Product, ProductService, Route
from tenants.actors import Role
from tenants.models import Membership, Tenant, User
from tenants.tokens import actor_by_token, create_api_token

UPSTREAM_NETWORKS = ["0.0.0.0/0", "::/0", "127.0.0.0/8"]
PLACES = (
    ("kr-dev", ("dev-1",), "dev-gateway"),
    ("kr-staging", ("staging-1",), "stage-gateway"),
    ("kr-prod", ("prod-1", "prod-2"), "prod-gateway"),
)
KONG_PLACE = ("kr-kong", ("kong-1",), "kong-gateway")
"""Where a Kong that the person brings stands."""
SERVICES = (
    ("Billing Service", "billing", "/billing", ["GET", "POST", "PUT", "DELETE"]),
    ("Invoice Service", "invoice", "/invoices", ["GET", "POST"]),
    ("Refund Service", "refund", "/refunds", ["POST"]),
)


@dataclass(frozen=True, kw_only=True)
class Login:
    """How to sign in; operators have no API token."""

    username: str
    password: str
    api_token: str = ""


@dataclass(frozen=True, kw_only=True)
class SeededGateway:
    """A gateway of the provider."""

    id: str
    name: str
    gateway_class: str


@dataclass(frozen=True, kw_only=True)
class SeededAgent:
    """An agent that the demo runs."""

    id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class SeededCluster:
    """A cluster with its gateways and agents."""

    id: str
    name: str
    gateways: tuple[SeededGateway, ...]
    agents: tuple[SeededAgent, ...]

    @property
    def is_kong(self) -> bool:
        """True for the place of a Kong that the person brings."""
        return self.name == KONG_PLACE[0]


@dataclass(frozen=True, kw_only=True)
class Seeded:
    """The data that the demo offers."""

    operator: Login
    provider: Login
    other_provider: Login
    viewer: Login
    product_id: str
    clusters: tuple[SeededCluster, ...]


@transaction.atomic
def seed(*, upstreams: Mapping[str, str], state: Path, with_kong: bool = False) -> Seeded:
    """Make everything that is missing.

    `upstreams` maps billing, invoice and refund to their URLs; `state` keeps the tokens.
    """
    acme, globex = _tenant("acme", "Acme Payments"), _tenant("globex", "Globex")
    people = {
        "operator": _user("operator", staff=True),
        "provider": _member("provider", acme, Role.OWNER),
        "viewer": _member("viewer", acme, Role.VIEWER),
        "other_provider": _member("other-provider", globex, Role.OWNER),
    }
    holders = {
        "provider": (acme, Role.DEVELOPER),
        "viewer": (acme, Role.VIEWER),
        "other_provider": (globex, Role.DEVELOPER),
    }
    tokens = _tokens(holders, file=state / "tokens.json")
    logins = {
        name: Login(username=user.username, password=_password(user.username), api_token=tokens.get(name, ""))
        for name, user in people.items()
    }
    product = _payment_api(acme, upstreams)
    _weather_api(globex, upstreams)
    places = (*PLACES, *((KONG_PLACE,) if with_kong else ()))
    clusters = tuple(
        _place(acme, cluster, agents=agents, gateway=gateway) for cluster, agents, gateway in places
    )
    shared = Cluster.objects.get(name="kr-dev")
    _gateway(globex, "globex-gateway", cluster=shared)
    return Seeded(product_id=str(product.pk), clusters=clusters, **logins)


def enrolment_code(*, cluster: str, agent: str) -> str:
    """A one-time code for an agent of the demo."""
    return create_enrolment_code(Cluster.objects.get(name=cluster), agent_name=agent)


def connected_agents() -> set[str]:
    """The names of the agents that were heard of lately."""
    return set(Agent.objects.connected().values_list("name", flat=True))


def _tenant(slug: str, name: str) -> Tenant:
    return Tenant.objects.get_or_create(slug=slug, defaults={"name": name})[0]


def _password(username: str) -> str:
    return f"{username}-demo"


def _user(username: str, *, staff: bool = False) -> User:
    user, is_new = User.objects.get_or_create(
        username=username, defaults={"is_staff": staff, "is_superuser": staff}
    )
    if is_new:
        user.set_password(_password(username))
        user.save(update_fields=["password"])
    return user


def _member(username: str, tenant: Tenant, role: Role) -> User:
    user = _user(username)
    Membership.objects.get_or_create(user=user, tenant=tenant, defaults={"role": role})
    return user


def _tokens(grants: Mapping[str, tuple[Tenant, Role]], *, file: Path) -> dict[str, str]:
    stored: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    tokens = {
        name: _valid_token(stored.get(name, ""), tenant, role) for name, (tenant, role) in grants.items()
    }
    file.touch(mode=0o600)
    file.write_text(json.dumps(tokens))
    return tokens


def _valid_token(token: str, tenant: Tenant, role: Role) -> str:
    try:
        actor_by_token(token)
    except Unauthenticated:
        return create_api_token(tenant, name="demo", role=role)
    return token


def _payment_api(tenant: Tenant, upstreams: Mapping[str, str]) -> Product:
    about = {"version": "2.0", "description": "결제, 청구서, 환불을 한 번에.", "categories": ["결제", "금융"]}
    product = _product(tenant, "Payment API", about)
    for name, upstream, path, methods in SERVICES:
        _service(product, name, url=upstreams[upstream], path=path, methods=methods)
    return product


def _weather_api(tenant: Tenant, upstreams: Mapping[str, str]) -> None:
    product = _product(tenant, "Weather API", {"version": "1.0"})
    _service(product, "Forecast Service", url=upstreams["billing"], path="/forecast", methods=["GET"])


def _product(tenant: Tenant, name: str, about: Mapping[str, Any]) -> Product:
    """The oldest product of that name: people make later versions under the same name."""
    oldest = Product.objects.filter(tenant=tenant, name=name).order_by("created_at").first()
    return oldest or Product.objects.create(tenant=tenant, name=name, status=Product.Status.ACTIVE, **about)


def _service(product: Product, name: str, *, url: str, path: str, methods: list[str]) -> None:
    parts = urlsplit(url)
    at = {
        "upstream_scheme": parts.scheme,
        "upstream_host": parts.hostname or "",
        "upstream_port": parts.port or 80,
    }
    service, is_new = ApiService.objects.update_or_create(
        tenant=product.tenant,
        name=name,
        defaults=at,
        create_defaults={**at, "version": "1.0", "status": ApiService.Status.ACTIVE},
    )
    if is_new:  # else its routes, and which products have it, are the people's who use the demo
        Route.objects.create(service=service, path=path, methods=methods)
        ProductService.objects.create(tenant=product.tenant, product=product, service=service)


def _place(tenant: Tenant, name: str, *, agents: tuple[str, ...], gateway: str) -> SeededCluster:
    defaults = {
        "region": "kr-seoul",
        "description": "Seoul, Korea",
        "host_suffixes": ["localhost"],
        "upstream_networks": UPSTREAM_NETWORKS,
    }
    cluster, _is_new = Cluster.objects.get_or_create(name=name, defaults=defaults)
    standing = _gateway(
        tenant,
        gateway,
        cluster=cluster,
        gateway_class=Gateway.Class.KONG if name == KONG_PLACE[0] else Gateway.Class.ENVOY,
    )
    known_agents = [Agent.objects.get_or_create(cluster=cluster, name=agent)[0] for agent in agents]
    return SeededCluster(
        id=str(cluster.pk),
        name=name,
        gateways=(
            SeededGateway(id=str(standing.pk), name=standing.name, gateway_class=standing.gateway_class),
        ),
        agents=tuple(SeededAgent(id=str(agent.pk), name=agent.name) for agent in known_agents),
    )


def _gateway(
    tenant: Tenant, name: str, *, cluster: Cluster, gateway_class: str = Gateway.Class.ENVOY
) -> Gateway:
    gateway, is_new = Gateway.objects.get_or_create(
        tenant=tenant, name=name, defaults={"gateway_class": gateway_class}
    )
    if is_new:
        ClusterTenant.objects.get_or_create(cluster=cluster, tenant=tenant)
        Listener.objects.create(gateway=gateway, name="http", port=8080, protocol=Listener.Protocol.HTTP)
        GatewayCluster.objects.create(gateway=gateway, cluster=cluster)
    return gateway
