"""Make, replace and switch off the keys of publishes in api-key mode. A key is shown only when it is made."""

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.problems import ChangedMeanwhile, NotFound
from core.security.secrets import encrypt
from publishes.choices import EventKind, KeyState
from publishes.engine import allowed, syncs
from publishes.engine.allowed import Action
from publishes.engine.keys import COLUMN, note_key
from publishes.engine.locks import lock_publish
from publishes.models import Credential, Operation, ProductPublish
from tenants.actors import Actor

TEST_CONSUMER = "test"
OVERLAP = timedelta(hours=24)
"""How long a replaced test key works beside the new one."""

KEY_MADE_MEANWHILE = _(
    "A key was made here meanwhile, so no other one was. Each is shown only once: "
    "if you did not copy it, make another one now."
)


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A new key, shown this once. `operation` brings it to the agents; None when nothing is to be sent."""

    credential: Credential
    key: str = field(repr=False)
    operation: Operation | None = None


@dataclass(frozen=True, kw_only=True)
class Ended:
    """Keys that were ended. `operation` brings that to the agents; None when nothing is to be sent."""

    credentials: tuple[Credential, ...]
    operation: Operation | None


@transaction.atomic
def issue_test_key(
    actor: Actor, publish_id: UUID, *, overlap: timedelta = OVERLAP, newest_known: str | None = None
) -> Issued:
    """Make the publish's test key. The key before it works for `overlap` at most; older keys end at once.

    `newest_known` is the id of the newest key that the caller knows of, empty for none: a form that is sent
    twice makes one key. Raises NotFound, Forbidden, NoKeysAskedFor or ChangedMeanwhile.
    """
    publish = lock_publish(actor, publish_id)
    allowed.require(actor, publish, Action.MAKE_TEST_KEY)
    if newest_known is not None and newest_known != _newest(publish):
        raise ChangedMeanwhile(KEY_MADE_MEANWHILE)
    before = list(publish.credentials.filter(is_test=True, state=KeyState.ACTIVE).order_by("-created_at"))
    for number, old in enumerate(before):
        _end(old, after=overlap if number == 0 else timedelta())
    issued = _make(publish, consumer=TEST_CONSUMER, is_test=True)
    note_key(publish, EventKind.KEY_ROTATED if before else EventKind.KEY_MADE, issued.credential, actor=actor)
    return replace(issued, operation=syncs.sync(publish, actor=actor))


@transaction.atomic
def switch_off(actor: Actor, publish_id: UUID, *, credential_id: UUID | None = None) -> Ended:
    """End a key at once; without an id, every test key. Raises NotFound when there is no such key."""
    publish = lock_publish(actor, publish_id)
    allowed.require(actor, publish, Action.SWITCH_OFF_KEY)
    rows = publish.credentials.filter(state=KeyState.ACTIVE)
    ended = list(rows.filter(pk=credential_id) if credential_id else rows.filter(is_test=True))
    if not ended:
        raise NotFound
    for credential in ended:
        _end(credential, after=timedelta())
        note_key(publish, EventKind.KEY_OFF, credential, actor=actor)
    return Ended(credentials=tuple(ended), operation=syncs.sync(publish, actor=actor))


def _newest(publish: ProductPublish) -> str:
    return str(publish.credentials.order_by("-created_at").values_list("pk", flat=True).first() or "")


def _make(publish: ProductPublish, *, consumer: str, is_test: bool) -> Issued:
    key = f"imp_{secrets.token_urlsafe(32)}"
    credential = Credential(
        publish=publish,
        consumer=consumer,
        is_test=is_test,
        fingerprint=hashlib.sha256(key.encode()).hexdigest()[:32],
    )
    credential.secret = encrypt(key, row=credential.pk, **COLUMN)
    credential.save(force_insert=True)
    return Issued(credential=credential, key=key)


def _end(credential: Credential, *, after: timedelta) -> None:
    """End a key at once, or after a time; never later than it would have ended."""
    if after:
        end = timezone.now() + after
        credential.expires_at = min(credential.expires_at or end, end)
        credential.save(update_fields=["expires_at", "updated_at"])
    else:
        credential.state = KeyState.OFF
        credential.save(update_fields=["state", "updated_at"])
