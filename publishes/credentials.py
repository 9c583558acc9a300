"""The keys that publishes in api-key mode let in: making, replacing, switching off, and their one way out, into what is sent to an agent.

The only module that sees a key in the clear. It shows one to a person exactly once, when it is made.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now
from django.db.models.query import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agent.protocol.spec import ApiKey, Spec
from core.problems import ChangedMeanwhile, NotFound
from core.secrets import SecretLost, decrypt, encrypt
from publishes import errors, syncs
from publishes.choices import AuthMode, EventKind, KeyState
from publishes.models import Credential, Operation, ProductPublish, PublishEvent
from publishes.services import lock_publish
from tenants.actors import Actor

log = structlog.get_logger(__name__)

TEST_CONSUMER = "test"
OVERLAP = timedelta(hours=24)
"""How long a test key that was replaced is let in beside the new one."""

KEY_MADE_MEANWHILE = _("A key was made here meanwhile, so no other one was. Each is shown only once: if you did not copy it, make another one now.")

_COLUMN = {"table": Credential._meta.db_table, "column": "secret"}


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A key that was just made; this is the only time that it is seen. `operation` brings it to the agents, None when nothing does now."""

    credential: Credential
    key: str = field(repr=False)
    operation: Operation | None = None


@dataclass(frozen=True, kw_only=True)
class Ended:
    """Keys that are to be let in no longer. `operation` brings that to the agents, None when nothing does now."""

    credentials: tuple[Credential, ...]
    operation: Operation | None


@transaction.atomic
def issue_test_key(actor: Actor, publish_id: UUID, *, overlap: timedelta = OVERLAP, seen: str | None = None) -> Issued:
    """Make the publish's test key. The one before goes on for `overlap` at most, so that callers can change over; ones before that end at once.

    `seen` is the id of the newest key that the caller knows of, empty for none, so that a form that is sent twice makes one key.
    Raises NotFound, Forbidden, NoKeysAskedFor or ChangedMeanwhile.
    """
    publish = _locked(actor, publish_id)
    if seen is not None and seen != _newest(publish):
        raise ChangedMeanwhile(KEY_MADE_MEANWHILE)
    before = list(publish.credentials.filter(is_test=True, state=KeyState.ACTIVE).order_by("-created_at"))
    for number, old in enumerate(before):
        _end(old, after=overlap if number == 0 else timedelta())
    issued = _make(publish, consumer=TEST_CONSUMER, is_test=True)
    _note(publish, EventKind.KEY_ROTATED if before else EventKind.KEY_MADE, issued.credential, actor=actor)
    return replace(issued, operation=syncs.sync(publish, actor=actor))


@transaction.atomic
def switch_off(actor: Actor, publish_id: UUID, *, credential_id: UUID | None = None) -> Ended:
    """Let a key in no longer, at once; without an id, every test key. Raises NotFound when there is no such key."""
    publish = _locked(actor, publish_id)
    rows = publish.credentials.filter(state=KeyState.ACTIVE)
    ended = list(rows.filter(pk=credential_id) if credential_id else rows.filter(is_test=True))
    if not ended:
        raise NotFound
    for credential in ended:
        _end(credential, after=timedelta())
        _note(publish, EventKind.KEY_OFF, credential, actor=actor)
    return Ended(credentials=tuple(ended), operation=syncs.sync(publish, actor=actor))


def expired() -> QuerySet[ProductPublish, UUID]:
    """The publishes of keys whose time has come."""
    due = Credential.objects.filter(state=KeyState.ACTIVE, expires_at__lte=Now())
    return ProductPublish.objects.filter(Exists(due.filter(publish=OuterRef("pk")))).order_by("pk").values_list("pk", flat=True)


@transaction.atomic
def expire_of(publish_id: UUID) -> None:
    """End the keys of a publish whose time has come; the sweep calls this. Nothing while somebody else has the publish locked."""
    rows = ProductPublish.objects.select_related("product", "cluster", "gateway").filter(pk=publish_id)
    publish = rows.select_for_update(of=["self"], no_key=True, skip_locked=True).first()
    if publish is None:
        return
    for credential in publish.credentials.filter(state=KeyState.ACTIVE, expires_at__lte=Now()):
        credential.state = KeyState.EXPIRED
        credential.save(update_fields=["state", "updated_at"])
        _note(publish, EventKind.KEY_EXPIRED, credential)
    if publish.deleted_at is None:
        syncs.sync(publish)


def refresh(specs: Sequence[Spec]) -> set[UUID]:
    """End what is past its end in specs that are about to be sent, without waiting for the sweep; the publishes of those are returned.

    Their specs are out of date: the next generation is on its way. One query, none when no spec has keys.
    """
    asking = [spec.publish_id for spec in specs if spec.auth.keys]
    over = set(expired().filter(pk__in=asking)) if asking else set()
    for publish_id in sorted(over):
        expire_of(publish_id)
    return over


def joined(specs: Sequence[Spec]) -> list[Spec]:
    """The specs with their keys, to be sent and to be kept nowhere. One query, none when no spec has keys.

    A key that cannot be read stays empty: the agent refuses the spec, because it would not know whom to let in.
    """
    asking = [spec.publish_id for spec in specs if spec.auth.keys]
    stored = dict(Credential.objects.filter(publish__in=asking).values_list("pk", "secret")) if asking else {}
    return [_with_keys(spec, stored) if spec.auth.keys else spec for spec in specs]


def _locked(actor: Actor, publish_id: UUID) -> ProductPublish:
    publish = lock_publish(actor, publish_id)
    if publish.auth_mode != AuthMode.API_KEY:
        raise errors.NoKeysAskedFor
    return publish


def _newest(publish: ProductPublish) -> str:
    return str(publish.credentials.order_by("-created_at").values_list("pk", flat=True).first() or "")


def _make(publish: ProductPublish, *, consumer: str, is_test: bool) -> Issued:
    key = f"imp_{secrets.token_urlsafe(32)}"
    credential = Credential(publish=publish, consumer=consumer, is_test=is_test, fingerprint=hashlib.sha256(key.encode()).hexdigest()[:32])
    credential.secret = encrypt(key, row=credential.pk, **_COLUMN)
    credential.save(force_insert=True)
    return Issued(credential=credential, key=key)


def _end(credential: Credential, *, after: timedelta) -> None:
    """No key gets longer than it had."""
    if after:
        end = timezone.now() + after
        credential.expires_at = min(credential.expires_at or end, end)
        credential.save(update_fields=["expires_at", "updated_at"])
    else:
        credential.state = KeyState.OFF
        credential.save(update_fields=["state", "updated_at"])


def _with_keys(spec: Spec, stored: dict[UUID, str]) -> Spec:
    keys = tuple(key.model_copy(update={"secret": _read(key, stored.get(key.id, ""))}) for key in spec.auth.keys)
    return spec.model_copy(update={"auth": spec.auth.model_copy(update={"keys": keys})})


def _read(key: ApiKey, ciphertext: str) -> str:
    try:
        return decrypt(ciphertext, row=key.id, **_COLUMN)
    except SecretLost as problem:
        log.exception("key_unreadable", credential=str(key.id), reason=str(problem))
        return ""


def _note(publish: ProductPublish, kind: EventKind, credential: Credential, *, actor: Actor | None = None) -> None:
    label, user_id = (actor.label, actor.user_id) if actor else ("", None)
    PublishEvent.objects.create(publish=publish, kind=kind, actor_label=label, actor_user_id=user_id, evidence={"key": credential.fingerprint[:8]})
