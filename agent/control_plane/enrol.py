"""Enrolment: turns an operator's one-time code into an identity.

Only this module knows codes and secrets.
"""

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import ValidationError

from agent.config import Identity, Settings
from agent.control_plane.client import ControlPlaneFailed, new_client, post
from agent.protocol import messages, signing
from agent.protocol.version import PROGRAM_VERSION

AUDIENCE = "enrolment"
"""The id of an agent that has none yet, as issuer of its request and audience of the answer."""


class EnrolmentFailed(Exception):
    """The code or the control plane's answer is no good; the text is for the operator."""


@dataclass(frozen=True, kw_only=True)
class Code:
    """The content of a one-time code."""

    url: str
    fingerprint: str
    secret: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The operator's choices for this agent on the command line."""

    driver: str
    options: dict[str, str]
    listen: str
    advertise: str


def read_code(text: str) -> Code:
    """Read a code (base64url of a JSON object). Raises EnrolmentFailed."""
    try:
        content = json.loads(base64.urlsafe_b64decode(text.strip() + "=" * (-len(text.strip()) % 4)))
        code = Code(
            url=str(content["url"]).rstrip("/"),
            fingerprint=str(content["fingerprint"]),
            secret=str(content["secret"]),
        )
    except (binascii.Error, ValueError, KeyError, TypeError) as problem:
        raise EnrolmentFailed(
            "This is not an enrolment code: copy the whole last line that `enroll_agent` printed."
        ) from problem
    if urlsplit(code.url).scheme not in {"http", "https"}:
        raise EnrolmentFailed("The enrolment code names no http(s) address of a control plane.")
    return code


def enrol(code: Code, plan: Plan, *, send: Callable[[str, bytes, str], str] | None = None) -> Identity:
    """Make a key, hand in its public half, pin the control plane's keys. Raises EnrolmentFailed.

    Writes nothing.
    """
    key = signing.new_key()
    request = messages.EnrolRequest(
        secret=code.secret,
        public_key=signing.public_jwk(key),
        driver=plan.driver,
        agent_version=PROGRAM_VERSION,
        url=plan.advertise,
    )
    url, body = code.url + messages.PATH_ENROL, request.model_dump_json().encode()
    proof = signing.prove_request(key, agent_id=AUDIENCE, method="POST", url=url, body=body)
    try:
        token = (send or _send)(url, body, proof.token)
    except ControlPlaneFailed as problem:
        raise EnrolmentFailed(str(problem)) from problem
    answer = open_answer(token, fingerprint=code.fingerprint, request_id=proof.id)
    settings = Settings(
        agent_id=str(answer.agent_id),
        name=answer.name,
        cluster=answer.cluster,
        control_plane_url=code.url,
        listen=plan.listen,
        advertise=plan.advertise,
        driver=plan.driver,
        options=plan.options,
    )
    return Identity(
        settings=settings,
        key=key,
        control_plane_keys=tuple(signing.import_key(jwk) for jwk in answer.control_plane_keys),
    )


def open_answer(token: str, *, fingerprint: str, request_id: str) -> messages.EnrolAnswer:
    """Believe the answer only under the key whose fingerprint the code names. Raises EnrolmentFailed."""
    try:
        pinned = [key for key in _claimed_keys(token) if signing.key_id(key) == fingerprint]
        opened = signing.unseal(
            token,
            pinned[:1],
            purpose=signing.Purpose.ANSWER,
            audience=AUDIENCE,
            issuer=signing.CONTROL_PLANE,
            answers=request_id,
        )
        return messages.EnrolAnswer.model_validate_json(opened.body)
    except signing.SignatureRefused as problem:
        raise EnrolmentFailed(
            f"The answer does not come from the control plane that made this code: {problem}"
        ) from problem
    except ValidationError as problem:
        raise EnrolmentFailed(
            "The control plane's answer is not understood; are both sides of the same version?"
        ) from problem


def _send(url: str, body: bytes, proof: str) -> str:
    with new_client() as client:
        return post(client, url, body=body, proof=proof)


def _claimed_keys(token: str) -> list[signing.Key]:
    """The keys in an answer, not yet proved: good only for finding the key with the pinned fingerprint."""
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return [signing.import_key(jwk) for jwk in json.loads(claims["body"])["control_plane_keys"]]
    except (IndexError, ValueError, KeyError, TypeError) as problem:
        raise signing.SignatureRefused("it cannot be read.") from problem
