"""A small world for tests: a tenant with a product, a cluster with enrolled agents, and an agent's voice.

The agents here are rows and keys without a program: tests say in their name what a real one would.
"""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from django.utils import timezone

from agent.protocol.messages import Carried, Evidence, Outcome, Report, Result
from agent.protocol.signing import Key, new_key, public_jwk
from agent.protocol.spec import Spec
from clusters.models import Agent, AgentKey, AgentLiveness, Cluster, ClusterTenant
from gateways.models import Gateway, GatewayCluster
from products.models import ApiService, Product, ProductService, Route
from publishes.engine import answers, outbox, reports
from publishes.models import Operation, ProductPublish
from publishes.verbs import drafts, publishing, withdrawing
from tenants.actors import Actor, Role
from tenants.models import Membership, Tenant, User


@dataclass(frozen=True)
class Voice:
    """One agent, and what it says about what it was sent."""

    agent: Agent
    key: Key

    def claim(self) -> tuple[outbox.ClaimedDelivery, ...]:
        """Claim this agent's due deliveries as a worker does, and release the lease at once."""
        claim = outbox.claim(self.agent.pk)
        if claim is None:
            return ()
        outbox.release(self.agent.pk, lease=claim.lease)
        return claim.deliveries

    def answer(
        self, waiting: outbox.ClaimedDelivery, outcome: Outcome = Outcome.VERIFIED, **changes: Any
    ) -> None:
        """Answer one claimed item."""
        answers.record(self.agent, [self.result(waiting.spec, outcome, token=waiting.token, **changes)])

    def confirm_all(self) -> None:
        """Take everything that is due and say that it was verified."""
        for waiting in self.claim():
            self.answer(waiting)

    @staticmethod
    def result(spec: Spec, outcome: Outcome, *, token: UUID | None, **changes: Any) -> Result:
        """A result for a spec."""
        evidence = Evidence(probes=48, bursts=2, apply_ms=50, verify_ms=20, changes=3)
        return Result(
            publish_id=spec.publish_id,
            generation=spec.generation,
            digest=spec.digest,
            outcome=outcome,
            token=token,
            evidence=evidence,
            **changes,
        )


@dataclass
class World:
    """The rows that most tests start from."""

    tenant: Tenant
    user: User
    actor: Actor
    cluster: Cluster
    gateway: Gateway
    product: Product
    agents: list[Voice] = field(default_factory=list)

    @property
    def viewer(self) -> Actor:
        """Somebody of the tenant who may only read."""
        return Actor(tenant_id=self.tenant.pk, role=Role.VIEWER, label="viewer")

    def add_agent(
        self, name: str, *, connected: bool = True, gateway_ok: bool = True, url: str = "http://127.0.0.1:9"
    ) -> Voice:
        """An enrolled agent of the cluster."""
        agent = Agent.objects.create(cluster=self.cluster, name=name, driver="envoy", url=url)
        key = new_key()
        AgentKey.objects.create(agent=agent, public_jwk=public_jwk(key), used_at=timezone.now())
        if connected:
            AgentLiveness.objects.create(agent=agent, last_seen_at=timezone.now(), gateway_ok=gateway_ok)
        voice = Voice(agent, key)
        self.agents.append(voice)
        return voice

    def settings(self, **changes: Any) -> drafts.Settings:
        """Valid settings for a publish."""
        values: dict[str, Any] = {
            "cluster": self.cluster,
            "gateway": self.gateway,
            "environment": "dev",
            "auth_mode": "none",
            "auth_config": {},
            "visibility": "public",
            "approval_required": True,
            "hostname_base": "payment-api.dev.kr-seoul.localhost",
        }
        return drafts.Settings(**(values | changes))

    def draft(self, **changes: Any) -> ProductPublish:
        """A draft of the product."""
        return drafts.create_publish(self.actor, self.product, settings=self.settings(**changes))

    def published(self, **changes: Any) -> ProductPublish:
        """A publish that every agent has verified."""
        publish = self.draft(**changes)
        publishing.request_publish(self.actor, publish.pk)
        self.everybody_confirms()
        publish.refresh_from_db()
        return publish

    def withdrawn(self, **changes: Any) -> ProductPublish:
        """A publish that was published, and withdrawn everywhere."""
        publish = self.published(**changes)
        withdrawing.request_withdraw(self.actor, publish.pk, reason="for a test")
        self.everybody_confirms()
        publish.refresh_from_db()
        return publish

    def everybody_confirms(self) -> None:
        """All agents take their deliveries and answer that they are verified."""
        for voice in self.agents:
            voice.confirm_all()

    def last_operation(self, publish: ProductPublish) -> Operation:
        """The newest operation of a publish."""
        return Operation.objects.filter(publish=publish).order_by("-generation")[0]


def make_world(slug: str = "acme") -> World:
    """A tenant with the brief's product, and a cluster without agents."""
    tenant = Tenant.objects.create(slug=slug, name=slug.title())
    user = User.objects.create_user(f"{slug}-owner", password=f"{slug}-secret")
    Membership.objects.create(user=user, tenant=tenant, role=Role.OWNER)
    cluster = Cluster.objects.create(
        name=f"{slug}-kr", region="kr-seoul", host_suffixes=["localhost"], upstream_networks=["127.0.0.0/8"]
    )
    ClusterTenant.objects.create(cluster=cluster, tenant=tenant)
    gateway = Gateway.objects.create(tenant=tenant, name="dev-gateway")
    GatewayCluster.objects.create(gateway=gateway, cluster=cluster)
    actor = Actor(tenant_id=tenant.pk, role=Role.OWNER, label=user.username, user_id=user.pk)
    return World(
        tenant=tenant, user=user, actor=actor, cluster=cluster, gateway=gateway, product=payment_api(tenant)
    )


def payment_api(tenant: Tenant) -> Product:
    """Payment API v2.0 with the brief's three services."""
    product = Product.objects.create(
        tenant=tenant, name="Payment API", version="2.0", status=Product.Status.ACTIVE
    )
    add_service(product, "Billing Service", "/billing", ["GET", "POST", "PUT", "DELETE"])
    add_service(product, "Invoice Service", "/invoices", ["GET", "POST"])
    add_service(product, "Refund Service", "/refunds", ["POST"])
    return product


def add_service(
    product: Product,
    name: str,
    path: str | None,
    methods: list[str],
    *,
    active: bool = True,
    host: str = "127.0.0.1",
) -> ApiService:
    """A service of the product with one route, or none."""
    status = ApiService.Status.ACTIVE if active else ApiService.Status.INACTIVE
    service = ApiService.objects.create(
        tenant=product.tenant, name=name, status=status, upstream_host=host, upstream_port=8081
    )
    if path:
        Route.objects.create(service=service, path=path, methods=methods)
    ProductService.objects.create(tenant=product.tenant, product=product, service=service)
    return service


def reported(agent: Agent, carried: tuple[Carried, ...]) -> list[UUID]:
    """An agent reports in one page; what it should fetch."""
    return list(reports.take(agent, Report(carried=carried)).wanted)


def nobody_knows() -> UUID:
    """An id of nothing."""
    return uuid4()
