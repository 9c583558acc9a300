"""The personas that try every URL, and the ids in the URLs: always those of one tenant."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.test import Client
from django.utils import timezone

from agent.protocol.signing import prove_request
from publishes.callers import credentials
from tenants.actors import Role
from tenants.models import ApiToken, Membership, User
from tenants.people import invitations
from tenants.tokens import create_api_token
from tests.world import World

MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"
PERSONAS = ("nobody", "viewer", "developer", "stranger", "operator", "agent", "revoked")


@dataclass(frozen=True)
class Answer:
    """The answer of a door."""

    status: int
    is_sign_in: bool

    @property
    def is_let_in(self) -> bool:
        """Whether the caller came through the door; what was behind it may still say 409 or 422."""
        return self.status < 500 and self.status not in {401, 403, 404, 405} and not self.is_sign_in


@dataclass(frozen=True)
class Scene:
    """One tenant with one of everything, another tenant, and an operator."""

    world: World
    other: World
    ids: dict[str, Any]

    def knock(
        self,
        persona: str,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        content_type: str = "application/json",
    ) -> Answer:
        """One request of the persona: by token at the API, by session at pages, signed by an agent."""
        client = self.client(persona, path, method=method, body=body)
        response = client.generic(method, path, body, content_type=content_type)
        return Answer(
            response.status_code, response.status_code == 302 and response["Location"].startswith("/sign-in")
        )

    def client(self, persona: str, path: str, *, method: str, body: bytes) -> Client:
        """The client of a persona."""
        if persona == "agent":
            voice = self.world.agents[0]
            proof = prove_request(
                voice.key,
                agent_id=str(voice.agent.pk),
                method=method,
                url=settings.PUBLIC_URL + path.partition("?")[0],
                body=body,
            )
            return _client({"Authorization": f"Imp {proof.token}"})
        if persona == "revoked":
            return self._by_token(self.world, Role.OWNER, revoked=True)
        if persona in {"viewer", "developer", "stranger"}:
            world, role = (
                self.other if persona == "stranger" else self.world,
                Role.VIEWER if persona == "viewer" else Role.DEVELOPER,
            )
            return self._by_token(world, role) if path.startswith("/api/") else self._by_session(world, role)
        client = _client({})
        client.handler.enforce_csrf_checks = (
            path.startswith(("/api/v1/provider", "/api/v1/operator")) and persona == "nobody"
        )
        if persona == "operator":
            operator, _new = User.objects.get_or_create(
                username="door-operator", defaults={"is_staff": True, "is_superuser": True}
            )
            client.force_login(operator, MODEL_BACKEND)
        return client

    def _by_token(self, world: World, role: Role, *, revoked: bool = False) -> Client:
        token = create_api_token(world.tenant, name="knocks", role=role)
        if revoked:
            ApiToken.objects.filter(name="knocks").update(revoked_at=timezone.now() - timedelta(minutes=1))
        return _client({"Authorization": f"Bearer {token}"})

    def _by_session(self, world: World, role: Role) -> Client:
        user, _new = User.objects.get_or_create(username=f"door-{world.tenant.slug}-{role}")
        Membership.objects.get_or_create(user=user, tenant=world.tenant, role=role)
        client = _client({})
        client.force_login(user, MODEL_BACKEND)
        return client


def ids_of(world: World) -> dict[str, Any]:
    """The ids in URLs, by the name of the URL's parameter.

    A URL with a new parameter needs a line here.
    """
    publish = world.published(auth_mode="api-key", auth_config={"key_header": "apikey"})
    key = credentials.issue_test_key(world.actor, publish.pk).credential
    world.everybody_confirms()
    service = world.product.services.first()
    assert service
    create_api_token(world.tenant, name="door", role=Role.DEVELOPER)
    guest = User.objects.create_user(f"door-{world.tenant.slug}-guest")
    return {
        "invitation_id": invitations.invite(world.actor, username=guest.username, role=Role.VIEWER).pk,
        "product_id": world.product.pk,
        "publish_id": publish.pk,
        "operation_id": world.last_operation(publish).pk,
        "service_id": service.pk,
        "route_id": service.routes.get().pk,
        "gateway_id": world.gateway.pk,
        "cluster_id": world.cluster.pk,
        "agent_id": world.agents[0].agent.pk,
        "token_id": ApiToken.objects.get(name="door").pk,
        "membership_id": Membership.objects.get(user=world.user).pk,
        "session_id": 0,
        "provider_id": "oidc",
        "credential_id": key.pk,
        "step": "cluster",
    }


def _client(headers: dict[str, str]) -> Client:
    client = Client(headers=headers)
    client.raise_request_exception = False
    return client
