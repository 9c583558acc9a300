"""What callers read when a gateway answers in the place of an upstream: the same problem bodies on every kind of gateway, Korean and English in one."""

import json

PROBLEM_TYPE = "application/problem+json; charset=utf-8"


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
