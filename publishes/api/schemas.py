"""The shapes of the JSON API: of requests (all fields optional, unknown ones refused) and of answers."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from ninja import Schema
from pydantic import Field

from publishes.choices import Condition
from publishes.engine.allowed import Action, Permission
from publishes.models import Delivery, Operation, ProductPublish, PublishEvent


class PublishIn(Schema, extra="forbid"):
    """Settings of a publish; what is left out keeps its value, or gets the default in a new one."""

    cluster_id: UUID | None = None
    gateway_id: UUID | None = None
    environment: str | None = Field(
        None, examples=["prod"], description="dev, stage or prod; dev when left out."
    )
    auth_mode: str | None = Field(
        None, examples=["none"], description="none, api-key or oauth2; none when left out."
    )
    auth_config: dict[str, Any] | None = None
    visibility: str | None = Field(
        None, examples=["public"], description="public or private; public when left out."
    )
    approval_required: bool | None = None
    hostname_base: str | None = Field(
        None, examples=["payment-api.prod.kr-seoul.localhost"], description="Left out: we choose one."
    )
    api_services: list[UUID] | None = None


class NoteIn(Schema, extra="forbid"):
    """An optional note for the history."""

    note: str = Field("", examples=["Production release v2.0"])


class ReasonIn(Schema, extra="forbid"):
    """Why it is withdrawn, 1 to 500 characters."""

    reason: str = Field("", examples=["a fault upstream"])


class PublishOut(Schema):
    """A publish as the brief names its fields."""

    id: UUID
    product_id: UUID
    provider_tenant_id: UUID
    gateway_id: UUID
    cluster_id: UUID
    environment: str = Field(examples=["prod"])
    hostname_base: str = Field(examples=["payment-api.prod.kr-seoul.localhost"])
    api_services: list[UUID]
    route_ids: list[UUID]
    auth_mode: str
    auth_config: dict[str, Any]
    visibility: str
    approval_required: bool
    status: str = Field(examples=["PUBLISHED"], description="DRAFT, PUBLISHED or WITHDRAWN.")
    generation: int
    frozen_at: datetime | None = Field(
        description="Since when every verb is refused: agents are ahead of us after a restored backup. "
        "null as a rule."
    )
    published_at: datetime | None
    published_by: str | None
    withdrawn_at: datetime | None
    withdrawn_by: str | None
    revision: int = Field(examples=[1], description="Counts people's edits; the ETag says the same.")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, publish: ProductPublish, *, services: list[UUID], routes: list[UUID], **more: Any) -> Self:
        """From the row, with the services and routes it carries (they are not chosen per publish)."""
        return cls(
            id=publish.pk,
            product_id=publish.product_id,
            provider_tenant_id=publish.tenant_id,
            gateway_id=publish.gateway_id,
            cluster_id=publish.cluster_id,
            environment=publish.environment,
            hostname_base=publish.hostname_base,
            api_services=services,
            route_ids=routes,
            auth_mode=publish.auth_mode,
            auth_config=publish.auth_config,
            visibility=publish.visibility,
            approval_required=publish.approval_required,
            status=publish.status,
            generation=publish.generation,
            frozen_at=publish.frozen_at,
            published_at=publish.published_at,
            published_by=publish.published_by or None,
            withdrawn_at=publish.withdrawn_at,
            withdrawn_by=publish.withdrawn_by or None,
            revision=publish.revision,
            created_at=publish.created_at,
            updated_at=publish.updated_at,
            **more,
        )


class ActionOut(Schema):
    """Whether the caller may do it now."""

    allowed: bool
    code: str | None = Field(
        examples=["wrong_state"],
        description="The code of the refusal that it would get now; null when allowed.",
    )
    reason: str | None = Field(description="The sentence of that refusal, in the language asked for.")

    @classmethod
    def of(cls, permission: Permission) -> Self:
        """From the permission."""
        return cls(
            allowed=permission.is_allowed,
            code=permission.code or None,
            reason=str(permission.reason) or None,
        )


class PublishDetailOut(PublishOut):
    """One publish by itself, with the actions that the caller may do."""

    allowed_actions: dict[Action, ActionOut] = Field(
        description="By action, whether the caller may do it now, by role and state. More actions may come. "
        "What would be sent (services, hostname, upstreams, issuer) is checked when a publish is requested."
    )


class PublishRowOut(PublishOut):
    """A publish in the list of all, with its conditions."""

    conditions: list[Condition]


class DeliveryOut(Schema):
    """One agent's part in an operation."""

    agent_id: UUID
    agent: str
    phase: str
    attempt: int
    step: str
    code: str
    message: str
    entity: str
    field: str
    evidence: dict[str, Any]
    finished_at: datetime | None

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """From the row, with its agent."""
        columns = {
            name: getattr(delivery, name)
            for name in (
                "phase",
                "attempt",
                "step",
                "code",
                "message",
                "entity",
                "field",
                "evidence",
                "finished_at",
            )
        }
        return cls(agent_id=delivery.agent_id, agent=delivery.agent.name, **columns)


class OperationOut(Schema):
    """One run of a verb."""

    id: UUID
    publish_id: UUID
    kind: str = Field(
        examples=["publish"],
        description="publish, withdraw and delete are people's; sync, revert and heal the system's.",
    )
    phase: str = Field(
        examples=["SUCCEEDED"],
        description="QUEUED and SENT go on; SUCCEEDED, FAILED, CANCELLED and SUPERSEDED are the end.",
    )
    generation: int
    note: str
    requested_by: str
    error_code: str
    error: str
    created_at: datetime
    deadline_at: datetime
    finished_at: datetime | None
    took_ms: int | None
    deliveries: list[DeliveryOut]

    @classmethod
    def of(cls, operation: Operation) -> Self:
        """From the row, with its deliveries."""
        columns = (
            "kind",
            "phase",
            "generation",
            "note",
            "error_code",
            "error",
            "created_at",
            "deadline_at",
            "finished_at",
            "took_ms",
        )
        return cls(
            id=operation.pk,
            publish_id=operation.publish_id,
            requested_by=operation.actor_label,
            deliveries=[DeliveryOut.of(delivery) for delivery in operation.deliveries.all()],
            **{name: getattr(operation, name) for name in columns},
        )


class EventOut(Schema):
    """One line of history."""

    kind: str
    from_status: str
    to_status: str
    by: str
    note: str
    evidence: dict[str, Any]
    operation_id: UUID | None
    created_at: datetime

    @classmethod
    def of(cls, event: PublishEvent) -> Self:
        """From the row."""
        columns = ("kind", "from_status", "to_status", "note", "evidence", "operation_id", "created_at")
        return cls(by=event.actor_label, **{name: getattr(event, name) for name in columns})
