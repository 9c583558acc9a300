"""Keys as the engine needs them: joined to the specs that are sent, and expired at their end.

Only there, in specs on their way out, keys stand in the clear.
"""

from collections.abc import Sequence
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now
from django.db.models.query import QuerySet

from agent.protocol.spec import ApiKey, Spec
from core.security.secrets import SecretLost, decrypt
from publishes.choices import EventKind, KeyState
from publishes.engine import syncs
from publishes.models import Credential, ProductPublish, PublishEvent
from tenants.actors import Actor

log = structlog.get_logger(__name__)

COLUMN = {"table": Credential._meta.db_table, "column": "secret"}


def publishes_with_expired_keys() -> QuerySet[ProductPublish, UUID]:
    """Ids of the publishes with an active key that is past its end."""
    due = Credential.objects.filter(state=KeyState.ACTIVE, expires_at__lte=Now())
    return (
        ProductPublish.objects.filter(Exists(due.filter(publish=OuterRef("pk"))))
        .order_by("pk")
        .values_list("pk", flat=True)
    )


@transaction.atomic
def expire_keys(publish_id: UUID) -> None:
    """Expire a publish's keys that are past their end, and send the rest.

    Does nothing while another transaction has the publish locked.
    """
    rows = ProductPublish.objects.select_related("product", "cluster", "gateway").filter(pk=publish_id)
    publish = rows.select_for_update(of=["self"], no_key=True, skip_locked=True).first()
    if publish is None:
        return
    for credential in publish.credentials.filter(state=KeyState.ACTIVE, expires_at__lte=Now()):
        credential.state = KeyState.EXPIRED
        credential.save(update_fields=["state", "updated_at"])
        note_key(publish, EventKind.KEY_EXPIRED, credential)
    if publish.deleted_at is None:
        syncs.sync(publish)


def expire_before_sending(specs: Sequence[Spec]) -> set[UUID]:
    """Expire the keys past their end in specs that are about to be sent, without waiting for the sweep.

    Returns the publishes of these keys: their specs are out of date, because the next generation is on its
    way. One query, none when no spec has keys.
    """
    publish_ids = [spec.publish_id for spec in specs if spec.auth.keys]
    expired_ids = set(publishes_with_expired_keys().filter(pk__in=publish_ids)) if publish_ids else set()
    for publish_id in sorted(expired_ids):
        expire_keys(publish_id)
    return expired_ids


def joined(specs: Sequence[Spec]) -> list[Spec]:
    """The specs with their keys, to be sent and to be kept nowhere. One query, none when no spec has keys.

    A key that cannot be decrypted stays empty; then the agent refuses the spec, because it would not know
    whom to let in.
    """
    publish_ids = [spec.publish_id for spec in specs if spec.auth.keys]
    if not publish_ids:
        return list(specs)
    ciphertexts = dict(Credential.objects.filter(publish__in=publish_ids).values_list("pk", "secret"))
    return [_with_keys(spec, ciphertexts) if spec.auth.keys else spec for spec in specs]


def _with_keys(spec: Spec, ciphertexts: dict[UUID, str]) -> Spec:
    keys = tuple(
        key.model_copy(update={"secret": _decrypted(key, ciphertexts.get(key.id, ""))})
        for key in spec.auth.keys
    )
    return spec.model_copy(update={"auth": spec.auth.model_copy(update={"keys": keys})})


def _decrypted(key: ApiKey, ciphertext: str) -> str:
    try:
        return decrypt(ciphertext, row=key.id, **COLUMN)
    except SecretLost as problem:
        log.exception("key_unreadable", credential=str(key.id), reason=str(problem))
        return ""


def note_key(
    publish: ProductPublish, kind: EventKind, credential: Credential, *, actor: Actor | None = None
) -> None:
    label, user_id = (actor.label, actor.user_id) if actor else ("", None)
    PublishEvent.objects.create(
        publish=publish,
        kind=kind,
        actor_label=label,
        actor_user_id=user_id,
        evidence={"key": credential.fingerprint[:8]},
    )
