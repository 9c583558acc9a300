"""What a publish's page says about its callers' credentials: its keys without their secrets, or its issuer. Reads only."""

from typing import Any

from publishes.choices import AuthMode
from publishes.models import Credential, Issuer, ProductPublish
from publishes.spec import KEY_HEADER

SHOWN = 20


def shown_of(publish: ProductPublish) -> dict[str, Any]:
    """For the template: `keys` and `key_header`, or `issuer`. One query, none without auth."""
    if publish.auth_mode == AuthMode.API_KEY:
        return {"keys": keys_of(publish), "key_header": publish.auth_config.get("key_header", KEY_HEADER)}
    if publish.auth_mode == AuthMode.OAUTH2:
        return {"issuer": Issuer.objects.filter(url=publish.auth_config.get("issuer_url", "")).first()}
    return {}


def keys_of(publish: ProductPublish) -> list[Credential]:
    """The newest keys of a publish, without their secrets. One query."""
    return list(publish.credentials.defer("secret").order_by("-created_at")[:SHOWN])
