"""The messages themselves.

Control plane → agent: `Command`. Agent → control plane: all others, each with its answer.
"""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from agent.protocol import VERSION
from agent.protocol.bounds import (
    REPORT_ROWS,
    RESULT_ROWS,
    Count,
    Digest,
    Generation,
    Protocol,
    Url,
    excerpt,
    line,
)
from agent.protocol.spec import Spec, State, Wire

PATH_COMMANDS = "/v1/commands"
"""On the agent: takes a sealed `Command`, answers a sealed `CommandAnswer`.

200: all specs are done. 202: the agent still works on some.
"""

PATH_ENROL = "/agent/v1/enroll"
PATH_HEARTBEAT = "/agent/v1/heartbeat"
PATH_REPORT = "/agent/v1/report"
PATH_SPECS = "/agent/v1/specs"
PATH_RESULTS = "/agent/v1/results"
PATH_KEYS_LET_IN = "/agent/v1/keys-let-in"
PATH_KEY = "/agent/v1/key"
"""On the control plane: each takes a JSON body under a signed request proof and answers a sealed answer."""

PublicKey = Annotated[dict[Annotated[str, line(20)], Annotated[str, line(200)]], Field(max_length=20)]
"""The public half of a key, as a JWK."""


KEYS_AT_MOST = 100_000
LET_IN_AT_ONCE = 100


class Outcome(StrEnum):
    """How one spec ended, or stands, at one agent."""

    VERIFIED = "verified"  # applied, and both bursts of the proof were right
    REFUSED = "refused"  # the gateway, the fence or the driver will never take this spec: final
    UNREACHABLE = "unreachable"  # the gateway did not answer or did not take it in time: try again
    STALE = "stale"  # the agent has a higher generation of this publish, or this one with other content
    WORKING = "working"  # accepted, not done yet: a result follows


class Item(Wire):
    """One spec to apply. `delivery` and `token` come back in the result.

    Both are empty for a spec that nobody waits for.
    """

    spec: Spec
    delivery: UUID | None = None
    token: UUID | None = None


class Command(Wire):
    """All due specs of one agent, pushed together.

    `reserved` are host:port of the control plane that no upstream may be. `answer_within_ms`: after that
    time the agent answers 202 with the results so far.
    """

    protocol: Protocol = VERSION
    items: tuple[Item, ...]
    upstream_networks: tuple[str, ...]
    reserved: tuple[str, ...] = ()
    answer_within_ms: int = 5_000


class Evidence(Wire):
    """The proof of a spec in numbers: right answers, bursts, milliseconds to apply and to prove, writes."""

    probes: Count = 0
    bursts: Count = 0
    apply_ms: Count = 0
    verify_ms: Count = 0
    changes: Count = 0


class Result(Wire):
    """The result of one item.

    `code` is stable, `message` is English, `entity` and `field` name the guilty part.
    """

    publish_id: UUID
    generation: Generation
    digest: Digest
    outcome: Outcome
    delivery: UUID | None = None
    token: UUID | None = None
    step: Annotated[str, excerpt(50)] = ""
    code: Annotated[str, excerpt(50)] = ""
    message: Annotated[str, excerpt(1_000)] = ""
    entity: Annotated[str, excerpt(200)] = ""
    field: Annotated[str, excerpt(200)] = ""
    highest_generation: Generation = 0
    evidence: Evidence = Evidence()


class CommandAnswer(Wire):
    """One result per item of the command, in its order."""

    results: Annotated[tuple[Result, ...], Field(max_length=RESULT_ROWS)]


class Results(Wire):
    """Results that were not ready when their command was answered, or that came from a pull."""

    results: Annotated[tuple[Result, ...], Field(max_length=RESULT_ROWS)]


class Accepted(Wire):
    """An answer that says only: received."""


class EnrolRequest(Wire):
    """A new agent: the one-time secret of its code, the public half of its key, its driver and its URL."""

    secret: Annotated[str, line(200)]
    public_key: PublicKey
    driver: Annotated[str, line(200)]
    agent_version: Annotated[str, line(50)]
    url: Annotated[str, line(200)] = ""
    protocol: Protocol = VERSION


class EnrolAnswer(Wire):
    """Who the agent is now, and the control plane's public keys (JWKs) to pin."""

    agent_id: UUID
    name: str
    cluster: str
    control_plane_keys: tuple[dict[str, str], ...]


class Heartbeat(Wire):
    """Sent every interval.

    `fingerprint` covers all specs that are verified and not absent; `reserved` are host:port that no
    upstream may be. `pinned` is the `signing.key_set` of the control plane's keys that the agent trusts.
    """

    protocol: Protocol = VERSION
    agent_version: Annotated[str, line(50)]
    driver: Annotated[str, line(50)]
    fingerprint: Digest
    gateway_ok: bool
    gateway_error: Annotated[str, excerpt(500)] = ""
    gateway_version: Annotated[str, excerpt(100)] = ""
    gateway_mode: Annotated[str, excerpt(50)] = ""
    proxy_url: Url = ""
    reserved: Annotated[tuple[Annotated[str, line(300)], ...], Field(max_length=100)] = ()
    pinned: Digest = ""


class HeartbeatAnswer(Wire):
    """The next interval, and what the agent has to do now.

    `report`: send a `Report`, because the control plane expects another fingerprint or waits for a result.
    `control_plane_keys`: pin these from now on (empty: the pinned ones are right). `new_key`: make a new key
    and register it.
    """

    interval_ms: int
    report: bool
    protocol: int = VERSION
    control_plane_keys: tuple[dict[str, str], ...] = ()
    new_key: bool = False


class NewKey(Wire):
    """The public half of an agent's next key. `proof` is sealed with its private half: the agent has it."""

    public_key: PublicKey
    proof: Annotated[str, line(4_000)]


class Carried(Wire):
    """What the gateway carries of one publish now.

    `verified`: this generation was proved after it was applied.
    """

    publish_id: UUID
    generation: Generation
    digest: Digest
    state: State
    verified: bool


class Report(Wire):
    """One page of all publishes that the agent knows, removed ones (by their highest generation) included.

    The page covers the ids above `after` and not above `until` (none: no end on that side). The agent does
    not know a publish of that range which the page leaves out. Pages go out in the order of ids.
    """

    carried: Annotated[tuple[Carried, ...], Field(max_length=REPORT_ROWS)]
    after: UUID | None = None
    until: UUID | None = None

    def covers(self, publish_id: UUID) -> bool:
        """Whether the publish is in the range of this page."""
        return (self.after is None or publish_id > self.after) and (
            self.until is None or publish_id <= self.until
        )


class Absence(Wire):
    """A publish that is absent for good at this generation."""

    publish_id: UUID
    generation: Generation


class ReportAnswer(Wire):
    """`wanted`: the publishes whose spec the agent should fetch and apply.

    `forget`: the absences to forget, unless the agent has a newer generation. `keys_asked`: the publishes
    whose keys the agent should name (`KeysLetIn`); only the answer to the last page has them.
    """

    wanted: tuple[UUID, ...]
    forget: tuple[Absence, ...] = ()
    keys_asked: tuple[UUID, ...] = ()


class LetIn(Wire):
    """The keys, by id, that the gateway lets in at one generation of a publish."""

    publish_id: UUID
    generation: Generation
    keys: Annotated[tuple[UUID, ...], Field(max_length=KEYS_AT_MOST)]


class KeysLetIn(Wire):
    """The keys of publishes that the agent has at a newer generation than a restored control plane.

    Publishes whose keys the agent does not know are left out.
    """

    publishes: Annotated[tuple[LetIn, ...], Field(max_length=LET_IN_AT_ONCE)]


class SpecsRequest(Wire):
    """Ask for specs by publish."""

    publish_ids: Annotated[tuple[UUID, ...], Field(max_length=RESULT_ROWS)]


class SpecsAnswer(Wire):
    """The requested specs, as many as fit into one answer.

    Publishes that are not this agent's are left out.
    """

    items: tuple[Item, ...]
    upstream_networks: tuple[str, ...]
    reserved: tuple[str, ...] = ()
