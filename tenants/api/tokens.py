"""The JSON API of API tokens, for owners and admins. A token is shown once."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import Field

from core.api.paging import PageIn, page_of
from tenants import tokens
from tenants.api.callers import actor_of
from tenants.forms import ApiTokenForm
from tenants.models import ApiToken

router = Router(tags=["tokens"])


class TokenIn(Schema, extra="forbid"):
    """A new token. The role can be your own at most."""

    name: str | None = Field(None, examples=["pipeline"])
    role: str | None = Field(None, examples=["developer"])
    expires_at: datetime | None = None


class TokenOut(Schema):
    """A token without its secret; `prefix` is its beginning."""

    id: UUID
    name: str
    role: str = Field(examples=["developer"])
    prefix: str = Field(examples=["impg_k3Vx1"])
    created_by: str | None = Field(
        description="The username of the responsible person; null when a command created the token",
        examples=["jiwoo"],
    )
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, row: ApiToken, **more: Any) -> Self:
        """From the row."""
        columns = ("name", "role", "prefix", "created_at", "expires_at", "revoked_at", "last_used_at")
        maker = row.created_by.get_username() if row.created_by else None
        return cls(id=row.pk, created_by=maker, **{name: getattr(row, name) for name in columns}, **more)


class NewTokenOut(TokenOut):
    """A new token, with its secret this one time."""

    token: str = Field(examples=["impg_k3Vx1…"])


@router.get("/api-tokens", response=list[TokenOut], summary="The API tokens of the workspace")
def list_api_tokens(request: HttpRequest, response: HttpResponse, paging: Query[PageIn]) -> list[TokenOut]:
    """Newest first, ended ones too. For owners and admins."""
    rows = tokens.api_tokens_of(actor_of(request))
    return [TokenOut.of(token) for token in page_of(request, response, rows=rows, paging=paging)]


@router.post("/api-tokens", response={201: NewTokenOut}, summary="Create an API token")
def create_api_token(request: HttpRequest, response: HttpResponse, body: TokenIn) -> Status[NewTokenOut]:
    """The only answer with `token`. name and role are required. For owners and admins."""
    actor = actor_of(request)
    actor.require_manage()
    token, secret = tokens.issue_api_token(
        actor, **ApiTokenForm(body.model_dump(exclude_none=True)).checked()
    )
    response["Cache-Control"] = "no-store"
    return Status(201, NewTokenOut.of(token, token=secret))


@router.get("/api-tokens/{uuid:token_id}", response=TokenOut, summary="One API token")
def get_api_token(request: HttpRequest, token_id: UUID) -> TokenOut:
    """Without its secret, which is not stored."""
    return TokenOut.of(tokens.api_token_of(actor_of(request), token_id))


@router.delete("/api-tokens/{uuid:token_id}", response={204: None}, summary="Revoke an API token")
def revoke_api_token(request: HttpRequest, token_id: UUID) -> Status[None]:
    """The token is refused at its next request; it stays in the list."""
    tokens.revoke_api_token(actor_of(request), token_id)
    return Status(204, None)
