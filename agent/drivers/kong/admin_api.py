"""Kong's Admin API over HTTP: few connections, answers read whole, passing errors tried again.

Only this module talks to the Admin API.
"""

import random
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2

from agent.drivers.base import Refused, Unreachable
from agent.drivers.kong.entities import PATHS, TAG, Body, Entity, read

CONNECTIONS = 8
CONNECT_S, ANSWER_S, LOAD_S = 2.0, 10.0, 60.0
PATIENT_S = 60.0
HASTY_S = 4.0
"""Seconds, for callers that must not wait for a Kong that hangs.

A heartbeat makes a few calls in a row, and an agent counts as disconnected after 30 s.
"""
PAGE = 1000
PAUSES_S = (0.1, 0.3, 1.0)
LONGEST_PAUSE_S = 5.0
PASSING = frozenset({429, 500, 502, 503, 504})
T = TypeVar("T")
SECRET_KINDS = frozenset({"keyauth_credentials", "jwt_secrets"})


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A status, and the body where it was JSON."""

    status: int
    body: Any
    retry_after: str = ""


class Admin:
    """One node's Admin API. Every method raises Unreachable when it does not answer, or cannot now."""

    def __init__(
        self, url: str, *, headers: dict[str, str] | None = None, patience_s: float = PATIENT_S
    ) -> None:
        self.url, self._patience_s = url.rstrip("/"), patience_s
        timeout = httpx2.Timeout(min(ANSWER_S, patience_s), connect=CONNECT_S)
        limits = httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        self._client = httpx2.Client(
            verify=_authorities(),
            trust_env=False,
            follow_redirects=False,
            timeout=timeout,
            limits=limits,
            headers=headers,
        )
        self._pool = ThreadPoolExecutor(max_workers=CONNECTIONS, thread_name_prefix="kong")

    def get(self, path: str) -> Body:
        """A JSON object."""
        answer = self._ask("GET", path)
        if answer.status != 200 or not isinstance(answer.body, dict):
            raise Unreachable(
                f"Kong's Admin API at {self.url} answered {answer.status} for {urlsplit(path).path}.",
                code="admin_answer",
            )
        return answer.body

    def listed(self, kinds: Iterable[str], *, tagged: bool) -> list[tuple[str, list[Body]]]:
        """All entities of these kinds, or those with our tag, as Kong shows them; all kinds at once."""
        query = f"?size={PAGE}" + (f"&tags={TAG}" if tagged else "")
        return self.at_once([partial(self._listed, kind, f"/{PATHS[kind]}{query}") for kind in kinds])

    def put(self, entity: Entity) -> None:
        """Create or replace by our id. Raises Refused with entity and field."""
        _assert_scope(entity)
        answer = self._ask("PUT", entity.path, json=entity.body)
        if answer.status != 200:
            raise refusal_of(answer, entity)

    def delete(self, entity: Entity) -> None:
        """Delete; a missing entity counts as deleted. Raises Refused."""
        answer = self._ask("DELETE", entity.path)
        if answer.status not in {204, 404}:
            raise refusal_of(answer, entity)

    def load(self, text: str) -> Answer:
        """Give a node without a database its whole configuration.

        201: taken. 304: the node had it. 400: it objects.
        """
        answer = self._ask(
            "POST", "/config?check_hash=1&flatten_errors=1", json={"config": text}, timeout=LOAD_S
        )
        if answer.status not in {201, 304, 400}:
            reason = (
                "its body limit is below the configuration's size"
                if answer.status == 413
                else f"it answered {answer.status}"
            )
            raise Unreachable(
                f"Kong at {self.url} does not take the configuration: {reason}.", code="config_not_taken"
            )
        return answer

    def at_once(self, calls: list[Callable[[], T]]) -> list[T]:
        """Run calls side by side, as many as there are connections.

        Every call is made; then the first error is raised.
        """
        futures = [self._pool.submit(call) for call in calls]
        errors = [error for future in futures if (error := future.exception())]
        if errors:
            raise errors[0]
        return [future.result() for future in futures]

    def _listed(self, kind: str, path: str) -> tuple[str, list[Body]]:
        return kind, list(self._pages(path))

    def _pages(self, path: str) -> Iterator[Body]:
        following: str | None = path
        while following:
            page = self.get(following)
            yield from page["data"]
            # Without a database a page can be empty while there is a next one.
            following = page.get("next")

    def _ask(self, method: str, path: str, *, json: Any = None, timeout: float | None = None) -> Answer:
        """One idempotent call, tried again while Kong is away or busy and patience lasts."""
        problem, until = "", time.monotonic() + self._patience_s
        for pause in (*PAUSES_S, None):
            try:
                response = self._client.request(
                    method, self.url + path, json=json, timeout=timeout or httpx2.USE_CLIENT_DEFAULT
                )
                answer = Answer(
                    status=response.status_code,
                    body=_json(response),
                    retry_after=response.headers.get("retry-after", ""),
                )
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                answer, problem = None, f"does not answer ({error or type(error).__name__})"
            if answer and answer.status not in PASSING:
                return self._believed(answer)
            if answer:
                problem = f"answered {answer.status} for {method} {urlsplit(path).path}"
            if pause is None or time.monotonic() + (wait_s := _pause(pause, answer)) > until:
                break
            time.sleep(wait_s)
        raise Unreachable(
            f"Kong's Admin API at {self.url} {problem}.",
            code="admin_unreachable" if answer is None else "admin_busy",
        )

    def _believed(self, answer: Answer) -> Answer:
        if answer.status in {401, 403}:
            raise Unreachable(
                f"Kong's Admin API at {self.url} refuses this agent ({answer.status}). Check the token.",
                code="admin_denied",
            )
        return answer


def refusal_of(answer: Answer, entity: Entity) -> Refused | Unreachable:
    """The error for Kong's answer to a write.

    Kong's message on a secret is left out, because Kong quotes the secret in it.
    """
    body = answer.body if isinstance(answer.body, dict) else {}
    fields, code = body.get("fields"), body.get("code")
    field = first_field(fields)
    if answer.status == 409:
        message = (
            f"Kong has another entity with the {field or 'name'} of our {entity.label}; it was left as it is."
        )
        return Refused(message, code="name_conflict", entity=entity.label, field=field)
    if code == 4 or answer.status in {404, 405}:
        # Somebody else deleted an entity that ours refers to, or the node changed its mode: read again.
        return Unreachable(f"Kong changed while {entity.label} was written.", code="changed_meanwhile")
    reason = "" if entity.kind in SECRET_KINDS else f": {body.get('message', '')}"
    return Refused(
        f"Kong refuses {entity.label} ({answer.status}){reason}",
        code="gateway_refused",
        entity=entity.label,
        field=field,
    )


def first_field(fields: Any) -> str:
    """The path of the first field that Kong names."""
    if not isinstance(fields, dict) or not fields:
        return ""
    name, inside = min(fields.items(), key=lambda item: str(item[0]))
    below = first_field(inside) if name == "config" else ""
    return f"{name}.{below}" if below else str(name)


def entities(listed: Iterable[tuple[str, list[Body]]]) -> list[Entity]:
    """The listed entities, in the form in which they are compared."""
    return [read(kind, shown) for kind, all_shown in listed for shown in all_shown]


@cache
def _authorities() -> ssl.SSLContext:
    """Read once for all clients: it takes 25 ms."""
    return httpx2.create_ssl_context(trust_env=False)


def _assert_scope(entity: Entity) -> None:
    """A plugin without a scope would run on every request of this Kong."""
    if entity.kind == "plugins" and not any(
        entity.body.get(scope) for scope in ("service", "route", "consumer")
    ):
        raise AssertionError(f"{entity.label} has no scope")


def _json(response: httpx2.Response) -> Any:
    try:
        return response.json() if response.content else None
    except ValueError:
        return None


def _pause(pause: float, answer: Answer | None) -> float:
    if answer and answer.retry_after.isdigit():
        return min(float(answer.retry_after), LONGEST_PAUSE_S)
    return pause * random.uniform(0.8, 1.2)  # noqa: S311 (jitter, no secret)
