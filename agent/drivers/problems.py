"""What callers read when a gateway answers in the place of an upstream: the same on every kind of gateway, bodies in Korean and English in one."""

import json
from dataclasses import dataclass

from agent.protocol.spec import AuthMode, Spec

PROBLEM_TYPE = "application/problem+json; charset=utf-8"


@dataclass(frozen=True, kw_only=True)
class Challenges:
    """The `WWW-Authenticate` of a publish's refusals: 401 to those without credentials and with wrong ones, 403 for another audience or too few scopes."""

    missing: str
    invalid: str
    audience: str = ""
    scopes: str = ""


def challenges(spec: Spec) -> Challenges:
    """What a publish that asks for credentials says that it wants (RFC 9110 §11.6.1, RFC 6750 §3). No scheme is registered for keys: `Key` is Kong's word."""
    realm = f"realm={_quoted(spec.host)}"
    if spec.auth.mode == AuthMode.API_KEY:
        wanted = f"Key {realm}, header={_quoted(spec.auth.key_header)}"
        return Challenges(missing=wanted, invalid=wanted)
    invalid = f'Bearer {realm}, error="invalid_token"'
    scopes = f'Bearer {realm}, error="insufficient_scope", scope={_quoted(" ".join(spec.auth.scopes))}'
    return Challenges(missing=f"Bearer {realm}", invalid=invalid, audience=invalid, scopes=scopes)


def _quoted(text: str) -> str:
    """A quoted-string of a header."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _problem(status: int, title: str, code: str, detail: str) -> str:
    return json.dumps({"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}, ensure_ascii=False)


WITHDRAWN_BODY = _problem(410, "Gone", "withdrawn", "이 API는 제공이 중단되었습니다. / This API has been withdrawn.")
NOT_FOUND_BODY = _problem(404, "Not Found", "no_route", "이 경로와 메서드로 제공되는 API가 없습니다. / No API is served at this path and method.")
UNAUTHENTICATED_BODY = _problem(
    401, "Unauthorized", "unauthenticated", "API 키나 토큰이 없거나 올바르지 않습니다. / The API key or token is missing or not valid."
)
FORBIDDEN_BODY = _problem(
    403,
    "Forbidden",
    "forbidden",
    "이 토큰으로는 이 API를 쓸 수 없습니다. 토큰의 audience나 scope가 맞지 않습니다. / This token does not open this API: its audience or scopes do not fit.",
)
