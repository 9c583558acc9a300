"""The line to the control plane: signed requests go out, only answers under a pinned key count.

Nothing else talks to the control plane.
"""

import json
from collections.abc import Iterable
from typing import TypeVar
from uuid import UUID

import httpx2
from pydantic import ValidationError

from agent.config import Identity
from agent.protocol import OLDEST, VERSION, messages, signing
from agent.protocol.spec import Wire

TIMEOUT = httpx2.Timeout(10.0, connect=3.0)

T = TypeVar("T", bound=Wire)


class ControlPlaneFailed(Exception):
    """No believable answer: the control plane is unreachable, refuses, or its seal fits no pinned key.

    The text of a refusal is the control plane's own.
    """

    def __init__(self, message: str, *, code: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.code, self.status = code, status


def new_client() -> httpx2.Client:
    """The one long-lived client: no proxies from the environment, no redirects, bounded times."""
    return httpx2.Client(trust_env=False, follow_redirects=False, timeout=TIMEOUT)


def post(client: httpx2.Client, url: str, *, body: bytes, proof: str) -> str:
    """POST a JSON body under a proof and return the sealed answer's text. Raises ControlPlaneFailed."""
    headers = {
        "authorization": f"Imp {proof}",
        "content-type": "application/json",
        "accept": "application/jose, application/problem+json",
        "accept-language": "en",  # a refusal goes into the agent's log
    }
    try:
        with client.stream("POST", url, content=body, headers=headers) as response:
            status, text = response.status_code, _limited(response.iter_bytes())
    except (httpx2.HTTPError, httpx2.InvalidURL) as problem:
        raise ControlPlaneFailed(
            f"The control plane at {url} cannot be reached ({problem or type(problem).__name__}).",
            code="unreachable",
        ) from problem
    if status != 200:
        raise _refusal(status, text)
    return text.decode("ascii", errors="replace").strip()


class ControlPlane:
    """An enrolled agent's line to its control plane. Safe to use from several threads."""

    def __init__(self, identity: Identity, *, client: httpx2.Client | None = None) -> None:
        self._identity = identity
        self._client = client or new_client()

    @property
    def identity(self) -> Identity:
        """The agent's settings, with the keys in use."""
        return self._identity

    def use(self, identity: Identity) -> None:
        """Sign and verify with these keys from now on.

        Requests under way carry the old keys, which stay valid for a while.
        """
        self._identity = identity

    def heartbeat(self, heartbeat: messages.Heartbeat) -> messages.HeartbeatAnswer:
        """Send a heartbeat. Raises ControlPlaneFailed, as all methods below."""
        answer = self._ask(messages.PATH_HEARTBEAT, heartbeat, messages.HeartbeatAnswer)
        if answer.protocol < OLDEST:
            reason = (
                f"The control plane speaks protocol {answer.protocol}, this agent {OLDEST} to {VERSION}: "
                "update the control plane, or run an older agent."
            )
            raise ControlPlaneFailed(reason, code="protocol_unsupported")
        return answer

    def register_key(self, key: signing.Key) -> None:
        """Tell the control plane the agent's next key, under the present one."""
        proof = signing.seal(
            key,
            "",
            purpose=signing.Purpose.NEW_KEY,
            issuer=self._identity.settings.agent_id,
            audience=signing.CONTROL_PLANE,
        )
        self._ask(
            messages.PATH_KEY,
            messages.NewKey(public_key=signing.public_jwk(key), proof=proof.token),
            messages.Accepted,
        )

    def report(self, report: messages.Report) -> messages.ReportAnswer:
        """List everything carried; the answer names what differs."""
        return self._ask(messages.PATH_REPORT, report, messages.ReportAnswer)

    def let_in(self, publishes: Iterable[messages.LetIn]) -> None:
        """Say which keys are let in."""
        self._ask(
            messages.PATH_KEYS_LET_IN, messages.KeysLetIn(publishes=tuple(publishes)), messages.Accepted
        )

    def specs(self, publish_ids: Iterable[UUID]) -> messages.SpecsAnswer:
        """Fetch specs by publish."""
        return self._ask(
            messages.PATH_SPECS, messages.SpecsRequest(publish_ids=tuple(publish_ids)), messages.SpecsAnswer
        )

    def results(self, results: Iterable[messages.Result]) -> None:
        """Hand in results that nobody waits for any more."""
        self._ask(messages.PATH_RESULTS, messages.Results(results=tuple(results)), messages.Accepted)

    def open_command(self, token: str) -> tuple[signing.Opened, messages.Command]:
        """Check a pushed command's seal and read it. Raises SignatureRefused or ValueError (malformed)."""
        opened = signing.unseal(
            token,
            self._identity.control_plane_keys,
            purpose=signing.Purpose.COMMAND,
            audience=self._identity.settings.agent_id,
            issuer=signing.CONTROL_PLANE,
        )
        return opened, messages.Command.model_validate_json(opened.body)

    def seal_answer(self, body: Wire, *, answers: str) -> str:
        """Sign the answer to the command with that id."""
        return signing.seal(
            self._identity.key,
            body.model_dump_json(),
            purpose=signing.Purpose.ANSWER,
            issuer=self._identity.settings.agent_id,
            audience=signing.CONTROL_PLANE,
            answers=answers,
        ).token

    def close(self) -> None:
        """Drop the connections."""
        self._client.close()

    def _ask(self, path: str, question: Wire, kind: type[T]) -> T:
        identity = self._identity
        settings = identity.settings
        url, body = settings.control_plane_url + path, question.model_dump_json().encode()
        proof = signing.prove_request(
            identity.key, agent_id=settings.agent_id, method="POST", url=url, body=body
        )
        token = post(self._client, url, body=body, proof=proof.token)
        try:
            opened = signing.unseal(
                token,
                self._identity.control_plane_keys,
                purpose=signing.Purpose.ANSWER,
                audience=settings.agent_id,
                issuer=signing.CONTROL_PLANE,
                answers=proof.id,
            )
            return kind.model_validate_json(opened.body)
        except signing.SignatureRefused as problem:
            raise ControlPlaneFailed(
                f"The answer of {url} cannot be trusted: {problem}", code="bad_seal"
            ) from problem
        except ValidationError as problem:
            raise ControlPlaneFailed(
                f"The answer of {url} cannot be read ({problem.error_count()} wrong fields).",
                code="not_understood",
            ) from problem


def _limited(parts: Iterable[bytes]) -> bytes:
    text = bytearray()
    for part in parts:
        text += part
        if len(text) > signing.SIZE_LIMIT:
            raise ControlPlaneFailed("The control plane's answer is over 32 MiB.", code="too_large")
    return bytes(text)


def _refusal(status: int, text: bytes) -> ControlPlaneFailed:
    try:
        problem = json.loads(text)
        detail, code = str(problem["detail"]), str(problem.get("code", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        detail, code = f"The control plane answered {status} without a reason.", ""
    return ControlPlaneFailed(detail, code=code or f"http_{status}", status=status)
