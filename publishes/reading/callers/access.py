"""A publish's keys without their secrets, or its issuer, and what agents have proved of keys. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import FilteredRelation, Q
from django.db.models.query import QuerySet
from django.utils import timezone

from clusters.models import Agent
from core.problems import NotFound
from publishes.choices import AuthMode, Desired, KeyState, Status
from publishes.models import Credential, Issuer, ProductPublish
from publishes.spec import KEY_HEADER

SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class KeyProof:
    """The names of the agents that have proved to let a key in, or to refuse it once it has ended."""

    proved_on: tuple[str, ...] = ()
    awaited_from: tuple[str, ...] = ()


def auth_context(publish: ProductPublish) -> dict[str, Any]:
    """For the template: `issuer`, or the newest `keys` (`has_older`) and `key_header`. Three queries at most.

    `active`: how many keys are active. `may_open_on`: the agents that have not proved that they refuse each
    ended key; `may_refuse_on`: those that have not proved that they let each active key in.
    """
    if publish.auth_mode == AuthMode.API_KEY:
        rows = list(keys_of(publish)[: SHOWN + 1])
        keys, has_older = rows[:SHOWN], len(rows) > SHOWN
        proofs = proofs_of(publish, keys)
        active = [key for key in keys if is_active(key)]
        return {
            "keys": keys,
            "has_older": has_older,
            "active": len(active),
            "newest": keys[0].pk if keys else "",
            "may_open_on": _unproved_on(proofs, of=[key for key in keys if key not in active]),
            "may_refuse_on": _unproved_on(proofs, of=active),
            "key_header": publish.auth_config.get("key_header", KEY_HEADER),
        }
    if publish.auth_mode == AuthMode.OAUTH2:
        return {"issuer": Issuer.objects.filter(url=publish.auth_config.get("issuer_url", "")).first()}
    return {}


def is_active(key: Credential) -> bool:
    """Whether the key is neither switched off nor past its end."""
    return key.state == KeyState.ACTIVE and (key.expires_at is None or key.expires_at > timezone.now())


def proofs_of(publish: ProductPublish, keys: Sequence[Credential]) -> dict[Credential, KeyProof]:
    """What agents have proved of each key; nothing while the publish is not live. Two queries at most."""
    if not keys or not (publish.desired_state == Desired.LIVE or publish.status == Status.PUBLISHED):
        return dict.fromkeys(keys, KeyProof())
    key_ids = _proved_key_ids(publish)
    proofs = {}
    for key in keys:
        is_let_in = is_active(key)
        proved_on = [
            agent for agent, ids in key_ids.items() if ids is not None and (str(key.pk) in ids) is is_let_in
        ]
        awaited_from = [agent for agent in key_ids if agent not in proved_on]
        proofs[key] = KeyProof(proved_on=tuple(proved_on), awaited_from=tuple(awaited_from))
    return proofs


def _unproved_on(proofs: dict[Credential, KeyProof], *, of: Sequence[Credential]) -> list[str]:
    return sorted({agent for key in of for agent in proofs[key].awaited_from})


def _proved_key_ids(publish: ProductPublish) -> dict[str, set[str] | None]:
    """By agent's name, the ids of the keys in the spec that it proved; None when that spec is unknown."""
    observation = FilteredRelation(
        "observations", condition=Q(observations__publish=publish.pk, observations__verified=True)
    )
    agents = Agent.objects.filter(
        cluster_id=publish.cluster_id, driver=publish.gateway.gateway_class
    ).annotate(observation=observation)
    proved = {
        name: (generation, digest)
        for name, generation, digest in agents.order_by("name").values_list(
            "name", "observation__generation", "observation__digest"
        )
    }
    rows = publish.operations.filter(
        generation__in={generation for generation, _digest in proved.values() if generation}
    )
    key_ids = {
        (generation, digest): _ids(keys)
        for generation, digest, keys in rows.values_list("generation", "digest", "spec__auth__keys")
    }
    return {name: key_ids.get(proved_spec) for name, proved_spec in proved.items()}


def _ids(keys: list[dict[str, str]] | None) -> set[str]:
    return {key["id"] for key in keys or ()}


def keys_of(publish: ProductPublish) -> QuerySet[Credential]:
    """The keys of a publish, the newest first, without their secrets."""
    return publish.credentials.defer("secret").order_by("-created_at")


def active_key(publish: ProductPublish, credential_id: UUID) -> Credential:
    """A key of this publish that is let in. Raises NotFound."""
    key = publish.credentials.defer("secret").filter(pk=credential_id, state=KeyState.ACTIVE).first()
    if key is None:
        raise NotFound
    return key
