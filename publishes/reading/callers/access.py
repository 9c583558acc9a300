"""What a publish's page says about its callers' credentials: its keys without their secrets, or its issuer. Reads only."""

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
class Reached:
    """What agents have proved of one key: that they let it in, or, when it is to be let in no longer, that they do not. Names, in order."""

    proved_on: tuple[str, ...] = ()
    awaited_from: tuple[str, ...] = ()


def shown_of(publish: ProductPublish) -> dict[str, Any]:
    """For the template, three queries at most: `issuer`, or the newest `keys` (`has_older`) and `key_header`.

    `active`: how many keys are to be let in. `may_open_on`: the agents that have not proved of every other key that they let it in no longer;
    `may_refuse_on`: those that have not proved that they let each active one in.
    """
    if publish.auth_mode == AuthMode.API_KEY:
        rows = list(keys_of(publish)[: SHOWN + 1])
        keys, has_older = rows[:SHOWN], len(rows) > SHOWN
        standing = reached(publish, keys)
        active = [key for key in keys if is_to_be_let_in(key)]
        return {
            "keys": keys,
            "has_older": has_older,
            "active": len(active),
            "newest": keys[0].pk if keys else "",
            "may_open_on": _awaited(standing, of=[key for key in keys if key not in active]),
            "may_refuse_on": _awaited(standing, of=active),
            "key_header": publish.auth_config.get("key_header", KEY_HEADER),
        }
    if publish.auth_mode == AuthMode.OAUTH2:
        return {"issuer": Issuer.objects.filter(url=publish.auth_config.get("issuer_url", "")).first()}
    return {}


def is_to_be_let_in(key: Credential) -> bool:
    """Whether the key is neither switched off nor past its end."""
    return key.state == KeyState.ACTIVE and (key.expires_at is None or key.expires_at > timezone.now())


def reached(publish: ProductPublish, keys: Sequence[Credential]) -> dict[Credential, Reached]:
    """Where each key is in force, or out of force, as agents have proved it; nowhere while nothing is live. Two queries at most."""
    if not keys or not (publish.desired_state == Desired.LIVE or publish.status == Status.PUBLISHED):
        return dict.fromkeys(keys, Reached())
    let_in = _let_in(publish)
    answer = {}
    for key in keys:
        is_active = is_to_be_let_in(key)
        proved = [
            name for name, ids in let_in.items() if ids is not None and (str(key.pk) in ids) is is_active
        ]
        answer[key] = Reached(
            proved_on=tuple(proved), awaited_from=tuple(name for name in let_in if name not in proved)
        )
    return answer


def _awaited(standing: dict[Credential, Reached], *, of: Sequence[Credential]) -> list[str]:
    return sorted({name for key in of for name in standing[key].awaited_from})


def _let_in(publish: ProductPublish) -> dict[str, set[str] | None]:
    """By agent's name, the ids of the keys that it has proved to let in; None when it has proved nothing that we know the content of."""
    mine = FilteredRelation(
        "observations", condition=Q(observations__publish=publish.pk, observations__verified=True)
    )
    agents = Agent.objects.filter(
        cluster_id=publish.cluster_id, driver=publish.gateway.gateway_class
    ).annotate(mine=mine)
    proved = {
        name: (generation, digest)
        for name, generation, digest in agents.order_by("name").values_list(
            "name", "mine__generation", "mine__digest"
        )
    }
    rows = publish.operations.filter(
        generation__in={generation for generation, _digest in proved.values() if generation}
    )
    known = {
        (generation, digest): _ids(keys)
        for generation, digest, keys in rows.values_list("generation", "digest", "spec__auth__keys")
    }
    return {name: known.get(carried) for name, carried in proved.items()}


def _ids(keys: list[dict[str, str]] | None) -> set[str]:
    return {key["id"] for key in keys or ()}


def keys_of(publish: ProductPublish) -> QuerySet[Credential]:
    """The keys of a publish, the newest first, without their secrets."""
    return publish.credentials.defer("secret").order_by("-created_at")


def active_key(publish: ProductPublish, credential_id: UUID) -> Credential:
    """A key of this publish that is let in. Raises NotFound."""
    found = publish.credentials.defer("secret").filter(pk=credential_id, state=KeyState.ACTIVE).first()
    if found is None:
        raise NotFound
    return found
