"""Enrol as an agent and sign its requests, for tests of the control plane's side."""

import base64
import json
from typing import Any

from django.conf import settings
from django.test import Client

from agent.protocol.messages import PATH_ENROL, EnrolRequest
from agent.protocol.signing import Key, Sealed, new_key, prove_request, public_jwk
from agent.protocol.spec import Wire
from agent.protocol.version import PROGRAM_VERSION


def opened_code(code: str) -> dict[str, str]:
    """The content of an enrolment code."""
    content: dict[str, str] = json.loads(base64.urlsafe_b64decode(code + "=" * (-len(code) % 4)))
    return content


def enrol_request(code: str, *, key: Key | None = None, **changes: Any) -> EnrolRequest:
    """The message that uses a code."""
    values: dict[str, Any] = {
        "driver": "envoy",
        "agent_version": PROGRAM_VERSION,
        "url": "http://127.0.0.1:9",
    }
    return EnrolRequest(
        secret=opened_code(code)["secret"], public_key=public_jwk(key or new_key()), **(values | changes)
    )


def signed_post(
    client: Client, path: str, message: Wire, *, key: Key, agent_id: str, now: float | None = None
) -> tuple[Any, Sealed]:
    """Send a message as an agent would; returns the response and the proof."""
    body = message.model_dump_json().encode()
    proof = prove_request(
        key, agent_id=agent_id, method="POST", url=settings.PUBLIC_URL + path, body=body, now=now
    )
    response = client.post(
        path, body, content_type="application/json", headers={"Authorization": f"Imp {proof.token}"}
    )
    return response, proof


def signed_enrol(client: Client, message: EnrolRequest, *, key: Key) -> tuple[Any, Sealed]:
    """Use a code over HTTP."""
    return signed_post(client, PATH_ENROL, message, key=key, agent_id="enrolment")
