"""The JSON API of a publish's keys: list, make, switch off. Only the answer that makes a key shows it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import Field

from core.api.paging import PageIn, page_of
from publishes.api.schemas import OperationOut
from publishes.callers import credentials
from publishes.models import Credential, Operation, ProductPublish
from publishes.reading.callers import access
from publishes.reading.facts import selectors
from publishes.spec import KEY_HEADER
from tenants.api.callers import actor_of

router = Router(tags=["keys"])
_OPERATION = (
    "What brings it to the agents; ask there until it has ended. "
    "null while nothing is live, or while the publish waits for an adoption."
)


class KeyIn(Schema, extra="forbid"):
    """How to replace a test key."""

    overlap_s: int = Field(
        int(credentials.OVERLAP.total_seconds()),
        ge=0,
        le=7 * 86_400,
        description="For how long the key before is let in beside the new one.",
    )


class KeyOut(Schema):
    """A key without its secret, and the agents that have proved to let it in, or to refuse an ended one."""

    id: UUID
    consumer: str
    fingerprint: str
    state: str
    expires_at: datetime | None
    created_at: datetime
    proved_on: list[str] = Field(
        description="The names of the agents that have proved it; empty while the publish is not live."
    )
    awaited_from: list[str] = Field(
        description="The agents that have not: a key that has ended may still open there."
    )

    @classmethod
    def of(cls, credential: Credential, proof: access.KeyProof, **more: Any) -> Self:
        """From the row."""
        columns = {
            name: getattr(credential, name)
            for name in ("id", "consumer", "fingerprint", "state", "expires_at", "created_at")
        }
        return cls(proved_on=list(proof.proved_on), awaited_from=list(proof.awaited_from), **columns, **more)


class NewKeyOut(KeyOut):
    """A key that was just made, and the header that it is sent in. It is not shown again."""

    key: str
    header: str
    operation: OperationOut | None = Field(description=_OPERATION)


class KeysOffOut(Schema):
    """The keys that are to be let in no longer."""

    keys: list[KeyOut]
    operation: OperationOut | None = Field(description=_OPERATION)


@router.get(
    "/product-publishes/{uuid:publish_id}/keys", response=list[KeyOut], summary="The keys of a publish"
)
def list_keys(
    request: HttpRequest, response: HttpResponse, publish_id: UUID, paging: Query[PageIn]
) -> list[KeyOut]:
    """Without their secrets, the newest first; those with the state `active` are to be let in."""
    publish = selectors.publish_of(actor_of(request), publish_id)
    return _shown(publish, page_of(request, response, rows=access.keys_of(publish), paging=paging))


@router.post(
    "/product-publishes/{uuid:publish_id}/test-key",
    response={201: NewKeyOut},
    summary="Make or replace the test key",
)
def make_test_key(
    request: HttpRequest, response: HttpResponse, publish_id: UUID, body: KeyIn | None = None
) -> Status[NewKeyOut]:
    """Shown once. It is let in as soon as the gateways have it, within two seconds as a rule.

    The key before it is let in for `overlap_s` more.
    """
    actor = actor_of(request)
    issued = credentials.issue_test_key(
        actor, publish_id, overlap=timedelta(seconds=body.overlap_s) if body else credentials.OVERLAP
    )
    response["Cache-Control"] = "no-store"
    publish, credential = issued.credential.publish, issued.credential
    header = publish.auth_config.get("key_header", KEY_HEADER)
    (proof,) = access.proofs_of(publish, [credential]).values()
    return Status(
        201,
        NewKeyOut.of(
            credential, proof, key=issued.key, header=header, operation=_operation(issued.operation)
        ),
    )


@router.delete(
    "/product-publishes/{uuid:publish_id}/test-key", response=KeysOffOut, summary="Switch the test key off"
)
def switch_test_key_off(request: HttpRequest, publish_id: UUID) -> KeysOffOut:
    """At once, the replaced one too; 404 without a key. An agent lets it in until it proves the operation."""
    ended = credentials.switch_off(actor_of(request), publish_id)
    return KeysOffOut(
        keys=_shown(ended.credentials[0].publish, ended.credentials), operation=_operation(ended.operation)
    )


def _shown(publish: ProductPublish, keys: Sequence[Credential]) -> list[KeyOut]:
    return [KeyOut.of(key, proof) for key, proof in access.proofs_of(publish, keys).items()]


def _operation(operation: Operation | None) -> OperationOut | None:
    return OperationOut.of(selectors.with_deliveries(operation)) if operation else None
