"""API tokens of a tenant: made, revoked, and one of the two ways to become an actor (the other is a session: `workspaces`)."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from django.db import IntegrityError, transaction
from django.db.models.query import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.problems import ChangedMeanwhile, Forbidden, Unauthenticated
from tenants.actors import Actor, Role, lesser
from tenants.models import ApiToken, ApiTokenQuerySet, Tenant

log = structlog.get_logger(__name__)
TOKEN_START = "impg_"  # noqa: S105 - the public start of every token, so that leaks can be searched for
LAST_USED_EVERY = timedelta(minutes=1)
MADE_ALREADY = _(
    "This token was made already, and it is shown only once. If you did not copy it, revoke it and make another one."
)


def create_api_token(tenant: Tenant, *, name: str, role: Role, expires_at: datetime | None = None) -> str:
    """Make an API token that nobody in particular answers for, and return it; it is not stored and cannot be shown again."""
    return _new_token(
        tenant.pk,
        name=name,
        role=role,
        expires_at=expires_at,
        maker_id=None,
        by="command line",
        token_id=uuid4(),
    )[1]


def issue_api_token(
    actor: Actor, *, name: str, role: Role, expires_at: datetime | None, token_id: UUID | None = None
) -> tuple[ApiToken, str]:
    """Make an API token of at most the actor's own role; the second of the two is the token itself, never to be seen again.

    A token that makes another one does so for the person who made it. Whoever chooses its id beforehand (a form that may be sent again) makes
    one at most. Raises Forbidden, or ChangedMeanwhile when that one is there already.
    """
    actor.require_manage()
    if role == Role.OWNER != actor.role:
        raise Forbidden(_("An admin cannot make an owner's token. Choose another role, or ask an owner."))
    kept: dict[str, Any] = {
        "name": name,
        "role": role,
        "expires_at": expires_at,
        "token_id": token_id or uuid4(),
    }
    try:
        with transaction.atomic():
            return _new_token(
                actor.tenant_id, **kept, maker_id=actor.user_id or actor.maker_id, by=actor.label
            )
    except IntegrityError as problem:
        raise ChangedMeanwhile(MADE_ALREADY) from problem


def revoke_api_token(actor: Actor, token_id: UUID) -> None:
    """End a token at once; one that has ended stays so. Raises NotFound, then Forbidden."""
    end_api_token(api_token_of(actor, token_id), by=actor.label)


def end_api_token(token: ApiToken, *, by: str) -> None:
    """The same by an operator, for any workspace."""
    if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(
        revoked_at=timezone.now(), updated_at=timezone.now()
    ):
        log.info(
            "api_token_revoked", tenant=str(token.tenant_id), token=str(token.pk), name=token.name, by=by
        )


def api_tokens_of(actor: Actor) -> ApiTokenQuerySet:
    """The workspace's tokens, newest first. Raises Forbidden for everybody but owners and admins."""
    actor.require_manage()
    return ApiToken.objects.visible_to(actor).with_maker()


def api_tokens_made_by(actor: Actor, user_id: UUID) -> QuerySet[ApiToken]:
    """The workspace's tokens that this person answers for and that have not ended. Raises Forbidden for everybody but owners and admins."""
    return api_tokens_of(actor).unended().filter(created_by_id=user_id)


def unended_tokens_of_maker(actor: Actor) -> QuerySet[ApiToken]:
    """The workspace's tokens that the actor answers for in person and that have not ended."""
    return ApiToken.objects.unended().filter(tenant_id=actor.tenant_id, created_by_id=actor.user_id)


def api_token_of(actor: Actor, token_id: UUID) -> ApiToken:
    """One token of the workspace. Raises NotFound, then Forbidden."""
    found = ApiToken.objects.with_maker().one_for(actor, token_id)
    actor.require_manage()
    return found


def actor_by_token(token: str) -> Actor:
    """The actor behind an API token. Raises Unauthenticated as `valid_token` does."""
    return actor_of_token(valid_token(token))


def valid_token(token: str) -> ApiToken:
    """The stored token behind the secret. Raises Unauthenticated when it is unknown, has ended, or its maker left the workspace."""
    found = ApiToken.objects.working().filter(token_hash=_hash(token)).first()
    if found is None:
        raise Unauthenticated
    _note_use(found, now=timezone.now())
    return found


def actor_of_token(token: ApiToken) -> Actor:
    """Whoever holds a token that `valid_token` gave acts for its tenant in its role, or in its maker's where that is less by now."""
    role = lesser(Role(token.role), Role(getattr(token, "maker_role") or token.role))  # noqa: B009 - annotated by the read
    return Actor(tenant_id=token.tenant_id, role=role, label=token.name, maker_id=token.created_by_id)


def _new_token(
    tenant_id: UUID,
    *,
    name: str,
    role: Role,
    expires_at: datetime | None,
    maker_id: UUID | None,
    by: str,
    token_id: UUID,
) -> tuple[ApiToken, str]:
    token = TOKEN_START + secrets.token_urlsafe(32)
    kept = {
        "name": name,
        "role": role,
        "prefix": token[:10],
        "token_hash": _hash(token),
        "expires_at": expires_at,
    }
    made = ApiToken.objects.create(pk=token_id, tenant_id=tenant_id, created_by_id=maker_id, **kept)
    log.info("api_token_made", tenant=str(tenant_id), token=str(made.pk), name=name, role=str(role), by=by)
    return made, token


def _note_use(token: ApiToken, *, now: datetime) -> None:
    # Once a minute is enough to tell a used token from a forgotten one, and keeps reads free of writes.
    if token.last_used_at is None or now - token.last_used_at > LAST_USED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)


def _hash(token: str) -> str:
    # The token has 256 random bits, so a plain hash cannot be searched; a slow one would only slow every request.
    return hashlib.sha256(token.encode()).hexdigest()
