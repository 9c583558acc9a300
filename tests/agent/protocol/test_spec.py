"""What a digest stands for: everything that callers meet, and nothing else."""

from typing import Any
from uuid import UUID

import pytest

from agent.protocol.spec import ApiKey, Auth, AuthMode, Route, Service, Spec, State, Upstream

UPSTREAM = Upstream(scheme="http", host="a.example", port=80)
ROUTE = Route(id=UUID(int=2), path="/a")
SERVICE = Service(id=UUID(int=3), name="a", upstream=UPSTREAM, routes=(ROUTE,))
KEY = ApiKey(id=UUID(int=4), consumer="c", fingerprint="f", secret="s")
KEYS = Auth(mode=AuthMode.API_KEY, key_header="apikey", keys=(KEY,))
TOKENS = Auth(mode=AuthMode.OAUTH2, issuer="https://i", audience="a", scopes=("r",), jwks=({"kid": "1"},))


def spec(*, auth: Auth = KEYS, service: Service = SERVICE, **changes: Any) -> Spec:
    values = {"publish_id": UUID(int=1), "generation": 1, "state": State.LIVE, "host": "a.localhost"}
    return Spec.model_validate({**values, "auth": auth, "services": (service,), **changes})


def upstream(**changes: Any) -> Spec:
    return spec(service=SERVICE.model_copy(update={"upstream": UPSTREAM.model_copy(update=changes)}))


def route(**changes: Any) -> Spec:
    return spec(service=SERVICE.model_copy(update={"routes": (ROUTE.model_copy(update=changes),)}))


def key(**changes: Any) -> Spec:
    return spec(auth=KEYS.model_copy(update={"keys": (KEY.model_copy(update=changes),)}))


def tokens(**changes: Any) -> Spec:
    return spec(auth=TOKENS.model_copy(update=changes))


CHANGED_SPECS = {
    "publish": spec(publish_id=UUID(int=9)),
    "state": spec(state=State.WITHDRAWN),
    "host": spec(host="b.localhost"),
    "no services": spec(services=()),
    "service id": spec(service=SERVICE.model_copy(update={"id": UUID(int=9)})),
    "scheme": upstream(scheme="https"),
    "upstream host": upstream(host="b.example"),
    "port": upstream(port=81),
    "upstream path": upstream(path="/base"),
    "connect time-out": upstream(connect_timeout_ms=1),
    "time-out": upstream(timeout_ms=1),
    "path": route(path="/b"),
    "methods": route(methods=("GET",)),
    "stripping": route(strip_path=True),
    "header of the key": spec(auth=KEYS.model_copy(update={"key_header": "x-key"})),
    "no keys": spec(auth=KEYS.model_copy(update={"keys": ()})),
    "consumer": key(consumer="d"),
    "fingerprint": key(fingerprint="g"),
    "no auth": spec(auth=Auth()),
    "tokens": tokens(),
    "issuer": tokens(issuer="https://j"),
    "audience": tokens(audience="b"),
    "scopes": tokens(scopes=("r", "w")),
    "keys of the issuer": tokens(jwks=({"kid": "2"},)),
}


@pytest.mark.parametrize("name", CHANGED_SPECS)
def test_the_digest_changes_with_everything_that_callers_meet(name: str) -> None:
    digests = [changed.digest for changed in (spec(), *CHANGED_SPECS.values())]
    assert digests.count(CHANGED_SPECS[name].digest) == 1


def test_the_digest_changes_neither_with_the_generation_nor_with_a_secret() -> None:
    assert spec(generation=2).digest == key(secret="t").digest == spec().digest
