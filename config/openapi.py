"""The OpenAPI document with every answer and examples: /api/v1/docs and /api/v1/openapi.json."""

from http import HTTPStatus
from typing import Any

from ninja import NinjaAPI
from ninja.operation import Operation

from core.api.idempotency import HEADER
from core.problems import MEDIA_TYPE

_BY_METHOD = {
    "get": (401, 403, 404, 422, 429),
    "post": (400, 401, 403, 404, 409, 422, 429),
    "put": (400, 401, 403, 404, 409, 412, 422, 429),
    "delete": (401, 403, 404, 409, 422, 429),
}
_EXAMPLES: dict[int, tuple[str, str, str]] = {
    400: ("The body is not JSON, or a header is invalid.", "malformed", "The body is not JSON."),
    401: (
        "Nobody is signed in, or the token is not valid.",
        "unauthenticated",
        "Sign in, or send a valid API token as Authorization: Bearer.",
    ),
    403: (
        "Your role does not allow the request.",
        "forbidden",
        "Your role does not allow this. Ask an owner or admin of your workspace.",
    ),
    404: ("The record does not exist, or is not yours.", "not_found", "Not found, or you have no access."),
    409: (
        "The record's state does not allow the request; the detail says what to do.",
        "wrong_state",
        "It is live. Withdraw it first; then it can be deleted.",
    ),
    412: (
        "It was edited since the ETag in If-Match.",
        "changed_meanwhile",
        "Somebody else changed this in the meantime.",
    ),
    422: ("Fields are invalid; `fields` says which and why.", "invalid", "Some fields are invalid."),
    429: (
        "Too many requests in this minute; wait Retry-After seconds.",
        "too_many_requests",
        "This token has made too many requests.",
    ),
}
_PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457. `code` is stable; docs/api.md lists all codes. `detail` is for people, in the "
    "language of Accept-Language.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "fields": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
    },
}
_IDEMPOTENCY = {
    "in": "header",
    "name": HEADER,
    "required": False,
    "schema": {"type": "string", "maxLength": 255},
    "description": "A repeated request within 24 hours gets the same answer, and nothing is done twice.",
}


class DescribedApi(NinjaAPI):
    """A NinjaAPI whose document lists every answer, refusals too."""

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """The view's name, a verb, which stays the same when the view moves to another module."""
        return operation.view_func.__name__

    def get_openapi_schema(self, **options: Any) -> Any:
        """Ninja's document, with problems, headers and the idempotency key."""
        document = super().get_openapi_schema(**options)
        document["components"]["schemas"]["Problem"] = _PROBLEM
        for item in document["paths"].values():
            for method, operation in item.items():
                _describe(method, operation)
        return document


def _describe(method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    for status in _BY_METHOD[method]:
        responses[status] = _problem(status)
    if method == "post":
        operation.setdefault("parameters", []).append(_IDEMPOTENCY)
    for status, response in responses.items():
        if response.get("headers") is None and (names := _headers(method, int(status), response)):
            response["headers"] = {
                name: {"schema": {"type": "string"}, "description": text} for name, text in names.items()
            }


def _headers(method: str, status: int, response: dict[str, Any]) -> dict[str, str]:
    if status == 202:
        return {"Location": "The operation; poll it until its phase is neither QUEUED nor SENT."}
    if status == 429:
        return {"Retry-After": "Seconds."}
    is_list = any(
        content["schema"].get("type") == "array" for content in response.get("content", {}).values()
    )
    if method == "get" and is_list:
        return {"Link": "first, prev, next and last page.", "X-Total-Count": "The number of all rows."}
    return {}


def _problem(status: int) -> dict[str, Any]:
    description, code, detail = _EXAMPLES[status]
    example = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    return {"description": description, "content": {MEDIA_TYPE: content}}
