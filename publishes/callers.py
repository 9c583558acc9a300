"""What a publish's page says about its callers' credentials: its keys without their secrets, or its issuer. Reads only."""

from typing import Any
from uuid import UUID

from django.db.models.query import QuerySet

from core.problems import NotFound
from publishes.choices import AuthMode, KeyState
from publishes.models import Credential, Issuer, ProductPublish
from publishes.spec import KEY_HEADER

SHOWN = 20


def shown_of(publish: ProductPublish) -> dict[str, Any]:
    """For the template: the newest `keys` (`has_older`), how many of them are let in (`in_force`) and `key_header`, or `issuer`. One query at most."""
    if publish.auth_mode == AuthMode.API_KEY:
        found = list(keys_of(publish)[: SHOWN + 1])
        keys, has_older = found[:SHOWN], len(found) > SHOWN
        in_force = sum(key.state == KeyState.ACTIVE for key in keys)
        return {"keys": keys, "has_older": has_older, "in_force": in_force, "key_header": publish.auth_config.get("key_header", KEY_HEADER)}
    if publish.auth_mode == AuthMode.OAUTH2:
        return {"issuer": Issuer.objects.filter(url=publish.auth_config.get("issuer_url", "")).first()}
    return {}


def keys_of(publish: ProductPublish) -> QuerySet[Credential]:
    """The keys of a publish, the newest first, without their secrets."""
    return publish.credentials.defer("secret").order_by("-created_at")


def active_key(publish: ProductPublish, credential_id: UUID) -> Credential:
    """A key of this publish that is let in. Raises NotFound."""
    found = publish.credentials.defer("secret").filter(pk=credential_id, state=KeyState.ACTIVE).first()
    if found is None:
        raise NotFound
    return found
