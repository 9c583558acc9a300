"""API tokens: created, revoked, and turned into an actor (sessions become actors in `workspaces`)."""

import hashlib
import secrets
from datetime import datetime, timedelta
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
TOKEN_START = "impg_"  # noqa: S105 - the public start of every token, to search for leaks
LAST_USED_EVERY = timedelta(minutes=1)
MADE_ALREADY = _(
    "This token already exists, and is shown only once. "
    "If you did not copy it, revoke it and create a new one."
)


def create_api_token(tenant: Tenant, *, name: str, role: Role, expires_at: datetime | None = None) -> str:
    """Create an API token without a responsible person, and return its secret, which is not stored."""
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
    """Create an API token of at most the actor's role. Returns the token and its secret, which is not stored.

    A token creates tokens on behalf of its own maker. `token_id` makes a repeated form create one token at
    most. Raises Forbidden, and ChangedMeanwhile when the id already exists.
    """
    actor.require_manage()
    if role == Role.OWNER != actor.role:
        raise Forbidden(_("An admin cannot create an owner's token. Choose another role, or ask an owner."))
    try:
        with transaction.atomic():
            return _new_token(
                actor.tenant_id,
                name=name,
                role=role,
                expires_at=expires_at,
                maker_id=actor.user_id or actor.maker_id,
                by=actor.label,
                token_id=token_id or uuid4(),
            )
    except IntegrityError as problem:
        raise ChangedMeanwhile(MADE_ALREADY) from problem


def revoke_api_token(actor: Actor, token_id: UUID) -> None:
    """Revoke a token at once; an ended token stays ended. Raises NotFound, then Forbidden."""
    end_api_token(api_token_of(actor, token_id), by=actor.label)


def end_api_token(token: ApiToken, *, by: str) -> None:
    """Revoke a token of any workspace, for operators."""
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


def api_tokens_created_by(actor: Actor, user_id: UUID) -> QuerySet[ApiToken]:
    """The unended tokens of this person in the workspace.

    Raises Forbidden for everybody but owners and admins.
    """
    return api_tokens_of(actor).unended().filter(created_by_id=user_id)


def unended_tokens_of_maker(actor: Actor) -> QuerySet[ApiToken]:
    """The actor's own unended tokens in the workspace."""
    return ApiToken.objects.unended().filter(tenant_id=actor.tenant_id, created_by_id=actor.user_id)


def api_token_of(actor: Actor, token_id: UUID) -> ApiToken:
    """One token of the workspace. Raises NotFound, then Forbidden."""
    token = ApiToken.objects.with_maker().get_for(actor, token_id)
    actor.require_manage()
    return token


def actor_by_token(token: str) -> Actor:
    """The actor behind an API token. Raises Unauthenticated as `valid_token` does."""
    return actor_of_token(valid_token(token))


def valid_token(token: str) -> ApiToken:
    """The token of this secret.

    Raises Unauthenticated for an unknown or ended token, or when its maker left.
    """
    api_token = ApiToken.objects.working().filter(token_hash=_hash(token)).first()
    if api_token is None:
        raise Unauthenticated
    _note_use(api_token, now=timezone.now())
    return api_token


def actor_of_token(token: ApiToken) -> Actor:
    """The actor of a token from `valid_token`: in the token's role, or its maker's if that is weaker now."""
    maker_role = getattr(token, "maker_role")  # noqa: B009 - an annotation of valid_token
    role = lesser(Role(token.role), Role(maker_role or token.role))
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
    columns = {
        "name": name,
        "role": role,
        "prefix": token[:10],
        "token_hash": _hash(token),
        "expires_at": expires_at,
    }
    row = ApiToken.objects.create(pk=token_id, tenant_id=tenant_id, created_by_id=maker_id, **columns)
    log.info("api_token_made", tenant=str(tenant_id), token=str(row.pk), name=name, role=str(role), by=by)
    return row, token


def _note_use(token: ApiToken, *, now: datetime) -> None:
    # Once a minute is enough to see whether a token is used, and keeps reads almost free of writes.
    if token.last_used_at is None or now - token.last_used_at > LAST_USED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)


def _hash(token: str) -> str:
    # A token has 256 random bits, so a plain hash is safe; a slow hash would only slow every request.
    return hashlib.sha256(token.encode()).hexdigest()
