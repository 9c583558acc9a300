"""The bodies that a gateway answers in the place of an upstream: the same on every kind of gateway.

Korean and English stand in one body.
"""

import json
from dataclasses import dataclass

from agent.protocol.spec import AuthMode, Spec

PROBLEM_TYPE = "application/problem+json; charset=utf-8"


@dataclass(frozen=True, kw_only=True)
class Challenges:
    """The `WWW-Authenticate` of a publish's refusals.

    401 to callers without credentials and with wrong ones, 403 for too few scopes.
    """

    missing: str
    invalid: str
    scopes: str = ""


def challenges(spec: Spec) -> Challenges:
    """The challenges of a publish that asks for credentials (RFC 9110 §11.6.1, RFC 6750 §3).

    No scheme is registered for API keys; `Key` is Kong's.
    """
    realm = f"realm={_quoted(spec.host)}"
    if spec.auth.mode == AuthMode.API_KEY:
        challenge = f"Key {realm}, header={_quoted(spec.auth.key_header)}"
        return Challenges(missing=challenge, invalid=challenge)
    invalid = f'Bearer {realm}, error="invalid_token"'
    scopes = f'Bearer {realm}, error="insufficient_scope", scope={_quoted(" ".join(spec.auth.scopes))}'
    return Challenges(missing=f"Bearer {realm}", invalid=invalid, scopes=scopes)


def _quoted(text: str) -> str:
    """A quoted-string of a header."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _problem(status: int, title: str, code: str, detail: str) -> str:
    return json.dumps(
        {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail},
        ensure_ascii=False,
    )


WITHDRAWN_BODY = _problem(
    410, "Gone", "withdrawn", "이 API는 제공이 중단되었습니다. / This API has been withdrawn."
)
NOT_FOUND_BODY = _problem(
    404,
    "Not Found",
    "no_route",
    "이 경로와 메서드로 제공되는 API가 없습니다. / No API is served at this path and method.",
)
GATEWAY_BODIES = {
    400: _problem(
        400, "Bad Request", "bad_request", "요청을 읽을 수 없습니다. / The request cannot be read."
    ),
    408: _problem(
        408,
        "Request Timeout",
        "request_too_slow",
        "요청이 제때 다 오지 않았습니다. / The request did not arrive in time.",
    ),
    431: _problem(
        431,
        "Request Header Fields Too Large",
        "headers_too_large",
        "요청 헤더가 너무 큽니다. / The request's headers are too large.",
    ),
    502: _problem(
        502,
        "Bad Gateway",
        "bad_upstream_answer",
        "API 서버의 응답을 읽을 수 없습니다. / The API's server gave an answer that cannot be read.",
    ),
    503: _problem(
        503,
        "Service Unavailable",
        "upstream_unavailable",
        "API 서버에 연결할 수 없습니다. / The API's server cannot be reached.",
    ),
    504: _problem(
        504,
        "Gateway Timeout",
        "upstream_too_slow",
        "API 서버가 제때 응답하지 않았습니다. / The API's server did not answer in time.",
    ),
}
"""The gateway's own answers, by status, where no upstream has answered."""

UNAUTHENTICATED_BODY = _problem(
    401,
    "Unauthorized",
    "unauthenticated",
    "API 키나 토큰이 없거나 올바르지 않습니다. / The API key or token is missing or not valid.",
)
FORBIDDEN_BODY = _problem(
    403,
    "Forbidden",
    "forbidden",
    "이 토큰으로는 이 API를 쓸 수 없습니다. 토큰에 필요한 scope가 없습니다."
    " / This token does not open this API: it lacks a scope.",
)
