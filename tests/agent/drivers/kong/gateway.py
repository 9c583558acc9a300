"""The driver over a Kong double, and what tests ask of both."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2

from agent.drivers.kong.driver import KongDriver
from agent.drivers.kong.setup import KongSetup
from agent.protocol.messages import Evidence
from agent.protocol.spec import ApiKey, Auth, AuthMode, Route, Spec
from tests.agent import issuer
from tests.agent.doubles import live, make_service
from tests.agent.gateway import Answer, Memory, ask, hold
from tests.doubles.kong.node import Kong
from tests.doubles.kong.schemas import KINDS

CLIENT = httpx2.Client(trust_env=False)
OWN_KINDS = ("services", "routes", "plugins", "consumers", "keyauth_credentials", "acls", "jwt_secrets")


def driver_of(kong: Kong, *, is_alone: bool = True) -> KongDriver:
    """A fresh driver, as an agent that was just started has it."""
    return KongSetup().create(
        Path(),
        {"admin_url": kong.admin_url, "proxy_url": kong.proxy_url, "alone": "1" if is_alone else ""},
        node="test",
    )


@dataclass
class Gateway:
    """One node, a driver and its memory."""

    kong: Kong
    is_alone: bool = True
    driver: KongDriver = field(init=False)
    memory: Memory = field(init=False)

    def __post_init__(self) -> None:
        self.driver = driver_of(self.kong, is_alone=self.is_alone)
        self.memory = Memory(self.driver)

    def publish(self, *specs: Spec) -> list[Evidence]:
        """Apply and prove."""
        applied = self.memory.apply(*specs)
        assert applied.refused == {}
        return [self.driver.verify(hold(spec)) for spec in specs]

    def ask(
        self, host: str, path: str = "/", *, method: str = "GET", headers: dict[str, str] | None = None
    ) -> Answer:
        return ask(self.kong.proxy_url.removeprefix("http://"), host, path, method=method, headers=headers)

    def admin(self, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        """A call of somebody else's."""
        assert CLIENT.request(method, self.kong.admin_url + path, json=body).status_code in {200, 201, 204}

    def counts(self) -> dict[str, int]:
        """How many entities of ours there are."""
        return {kind: count for kind in OWN_KINDS if (count := len(self.kong.own(kind)))}

    def fingerprint(self) -> str:
        """A hash over everything that is not ours."""
        foreign = {
            kind: [entity for entity in self.kong.entities(kind) if "imp" not in (entity["tags"] or ())]
            for kind in KINDS
        }
        return hashlib.sha256(json.dumps(foreign, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Anywhere:
    """A gateway of any kind: what publishes on it, and what asks it."""

    memory: Memory
    ask: Callable[..., Answer]

    def publish(self, *specs: Spec) -> None:
        """Apply and prove."""
        assert self.memory.apply(*specs).refused == {}
        for spec in specs:
            self.memory.driver.verify(hold(spec))


def route(path: str, *methods: str, strip: bool = False) -> Route:
    return Route(id=uuid4(), path=path, methods=methods, strip_path=strip)


def key(consumer: str, secret: str) -> ApiKey:
    return ApiKey(id=uuid4(), consumer=consumer, fingerprint=f"of-{secret}", secret=secret)


def with_keys(port: int, *keys: ApiKey, generation: int = 1, **more: Any) -> Spec:
    return live(
        port=port,
        generation=generation,
        auth=Auth(mode=AuthMode.API_KEY, key_header="apikey", keys=keys),
        **more,
    )


def with_tokens(
    port: int, *keys: issuer.Key, scopes: tuple[str, ...] = ("read", "write"), **auth: Any
) -> Spec:
    fields = {
        "issuer": issuer.ISSUER,
        "audience": issuer.AUDIENCE,
        "scopes": scopes,
        "jwks": issuer.public(*keys or (issuer.rsa(),)),
        **auth,
    }
    return live(port=port, auth=Auth(mode=AuthMode.OAUTH2, **fields))


def changed(spec: Spec, *, generation: int, **change: Any) -> Spec:
    return spec.model_copy(update={"generation": generation, **change})


def three_services(port: int, *, generation: int = 1, auth: Auth | None = None) -> Spec:
    """S = 3, R = 10: what calls are counted for."""
    paths = [("/a1", "/a2", "/a3", "/a4"), ("/b1", "/b2", "/b3"), ("/c1", "/c2", "/c3")]
    services = tuple(make_service(port, routes=[route(path) for path in group]) for group in paths)
    return live(generation=generation, services=services, auth=auth or Auth())
