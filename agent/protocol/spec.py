"""The desired state of one publish, in words that no gateway owns: the task of a driver."""

import hashlib
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from agent.protocol.bounds import Generation


class Wire(BaseModel):
    """Base of every message: immutable, unknown fields are ignored, errors quote no input (a key)."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class State(StrEnum):
    """The answers to callers of the host: the services, 410 on every path, or nothing of ours."""

    LIVE = "live"
    WITHDRAWN = "withdrawn"
    ABSENT = "absent"


class AuthMode(StrEnum):
    """How callers prove their identity."""

    NONE = "none"
    API_KEY = "api-key"
    OAUTH2 = "oauth2"


class Upstream(Wire):
    """Where a service lives.

    `path` ("" or "/base") goes before the forwarded path; times are milliseconds.
    """

    scheme: str
    host: str
    port: int
    path: str = ""
    connect_timeout_ms: int = 5_000
    timeout_ms: int = 60_000


class Route(Wire):
    """One path of a service, with every path below it. No methods means every method."""

    id: UUID
    path: str
    methods: tuple[str, ...] = ()
    strip_path: bool = False


class Service(Wire):
    """An upstream and the routes that lead to it."""

    id: UUID
    name: str
    upstream: Upstream
    routes: tuple[Route, ...]


class ApiKey(Wire):
    """One key that api-key mode lets in, and the consumer whom the upstream is told of.

    `fingerprint` stands for the key in everything that is stored; `secret` is added when the spec is sent,
    and is no part of the digest.
    """

    id: UUID
    consumer: str
    fingerprint: str
    secret: str = Field(default="", repr=False)


class Auth(Wire):
    """What a caller has to show before a service answers; only the fields of its mode are set.

    api-key: one of `keys` in the header `key_header`. oauth2: a token in `Authorization: Bearer`, of `issuer`
    for `audience`, signed by one of `jwks` (public JWKs), with all `scopes` in its claim `scope` or `scp` (a
    text or a list).
    """

    mode: AuthMode = AuthMode.NONE
    key_header: str = ""
    keys: tuple[ApiKey, ...] = ()
    issuer: str = ""
    audience: str = ""
    scopes: tuple[str, ...] = ()
    jwks: tuple[dict[str, Any], ...] = ()


class Spec(Wire):
    """One publish at one generation.

    A withdrawn spec keeps its host and has no services; an absent one has neither.
    """

    publish_id: UUID
    generation: Generation
    state: State
    host: str = ""
    auth: Auth = Auth()
    services: tuple[Service, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of everything but the generation and the secrets.

        Two generations that want the same have the same digest.

        Defaults are left out, so that a new field changes nothing between old and new peers until it has a
        value.
        """
        return hashlib.sha256(
            self.model_dump_json(exclude=_UNDIGESTED, exclude_defaults=True).encode()
        ).hexdigest()


_UNDIGESTED: dict[str, Any] = {"generation": True, "auth": {"keys": {"__all__": {"secret"}}}}


def fingerprint(carried: list[tuple[UUID, int, str]]) -> str:
    """SHA-256 (hex) over (publish, generation, digest) of all that is carried.

    The control plane computes the same in SQL (`publishes.engine.expectations`), so the line format is part
    of the protocol.
    """
    lines = "\n".join(
        f"{publish}:{generation}:{digest}"
        for publish, generation, digest in sorted(carried, key=lambda c: str(c[0]))
    )
    return hashlib.sha256(lines.encode()).hexdigest()
