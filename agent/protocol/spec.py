"""The desired state of one publish, in words no gateway owns: what a driver is asked to make true."""

import hashlib
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class Wire(BaseModel):
    """Base of all that travels: immutable, and unknown fields of a newer peer are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class State(StrEnum):
    """What callers of the host meet: the services, a 410 on everything, or nothing at all."""

    LIVE = "live"
    WITHDRAWN = "withdrawn"
    ABSENT = "absent"


class AuthMode(StrEnum):
    """How callers prove who they are. The values are the brief's."""

    NONE = "none"
    API_KEY = "api-key"
    OAUTH2 = "oauth2"


class Upstream(Wire):
    """Where a service lives. `path` is put before the forwarded path ("" or "/base"); times are milliseconds."""

    scheme: str
    host: str
    port: int
    path: str = ""
    connect_timeout_ms: int = 5_000
    timeout_ms: int = 60_000


class Route(Wire):
    """One path of a service: matches `path` itself and everything below it. No methods means every method."""

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


class Auth(Wire):
    """What a caller has to show before a service answers."""

    mode: AuthMode = AuthMode.NONE


class Spec(Wire):
    """One publish at one generation. A withdrawn spec keeps its host and has no services; an absent one has neither."""

    publish_id: UUID
    generation: int
    state: State
    host: str = ""
    auth: Auth = Auth()
    services: tuple[Service, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of everything but the generation: two generations that want the same carry the same digest.

        Defaults are left out, so that a new field changes nothing between old and new peers until it says something.
        """
        return hashlib.sha256(self.model_dump_json(exclude={"generation"}, exclude_defaults=True).encode()).hexdigest()


def fingerprint(carried: list[tuple[UUID, int, str]]) -> str:
    """SHA-256 (hex) over (publish, generation, digest) of all that is carried; empty carries hash like an empty text.

    The control plane computes the same in SQL (`publishes.selectors`), so the line format is part of the protocol.
    """
    lines = "\n".join(f"{publish}:{generation}:{digest}" for publish, generation, digest in sorted(carried, key=lambda c: str(c[0])))
    return hashlib.sha256(lines.encode()).hexdigest()
