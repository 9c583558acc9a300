"""The JSON API of a publish's test key: make or replace it, look at what is let in, switch it off. A key stands in the answer that made it alone."""

from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import Field

from core.paging import PageIn, page_of
from publishes import callers, credentials, selectors
from publishes.models import Credential
from publishes.spec import KEY_HEADER
from tenants.api import actor_of

router = Router(tags=["keys"])


class KeyIn(Schema, extra="forbid"):
    """How to replace a test key that is there."""

    overlap_s: int = Field(
        int(credentials.OVERLAP.total_seconds()), ge=0, le=7 * 86_400, description="For how long the key before is let in beside the new one."
    )


class KeyOut(Schema):
    """A key without its secret."""

    id: UUID
    consumer: str
    fingerprint: str
    state: str
    expires_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, credential: Credential) -> Self:
        """From the row."""
        return cls(**{name: getattr(credential, name) for name in ("id", "consumer", "fingerprint", "state", "expires_at", "created_at")})


class NewKeyOut(KeyOut):
    """A key that was just made, and the header that it is sent in. It is not shown again."""

    key: str
    header: str


@router.get("/product-publishes/{uuid:publish_id}/keys", response=list[KeyOut], summary="The keys of a publish")
def list_keys(request: HttpRequest, response: HttpResponse, publish_id: UUID, which: Query[PageIn]) -> list[KeyOut]:
    """Without their secrets, the newest first; those with the state `active` are let in."""
    rows = callers.keys_of(selectors.publish_of(actor_of(request), publish_id))
    return [KeyOut.of(credential) for credential in page_of(request, response, rows=rows, which=which)]


@router.post("/product-publishes/{uuid:publish_id}/test-key", response={201: NewKeyOut}, summary="Make or replace the test key")
def make_test_key(request: HttpRequest, response: HttpResponse, publish_id: UUID, body: KeyIn | None = None) -> Status[NewKeyOut]:
    """Shown once. It opens as soon as the gateways have it, within two seconds as a rule; the key before goes on for `overlap_s`."""
    actor = actor_of(request)
    issued = credentials.issue_test_key(actor, publish_id, overlap=timedelta(seconds=body.overlap_s) if body else credentials.OVERLAP)
    response["Cache-Control"] = "no-store"
    header = issued.credential.publish.auth_config.get("key_header", KEY_HEADER)
    return Status(201, NewKeyOut(**KeyOut.of(issued.credential).model_dump(), key=issued.key, header=header))


@router.delete("/product-publishes/{uuid:publish_id}/test-key", response={204: None}, summary="Switch the test key off")
def switch_test_key_off(request: HttpRequest, publish_id: UUID) -> Status[None]:
    """At once, and one that was replaced too. 404 when there is none."""
    credentials.switch_off(actor_of(request), publish_id)
    return Status(204, None)
