"""Our answers as Envoy's local replies: where a filter refuses a caller, or no upstream answers.

Pure functions; only this module says which of our bodies a status gets.
"""

from agent.drivers.envoy.auth import CHALLENGES, IS_BEARER, SCHEME_POLICY, TOKEN_POLICY
from agent.drivers.envoy.messages import Resource
from agent.drivers.problems import FORBIDDEN_BODY, GATEWAY_BODIES, PROBLEM_TYPE, UNAUTHENTICATED_BODY


def local_replies() -> Resource:
    """Our answers where a filter refuses a caller or no upstream answers; the first mapper that fits counts.

    The challenge comes from the virtual host's metadata.
    """
    return {
        "mappers": [
            _mapper(401, UNAUTHENTICATED_BODY, "invalid", also=_came_with_a_token()),
            _mapper(401, UNAUTHENTICATED_BODY, "missing"),
            # Envoy answers 403 to what a policy refuses; RFC 6750 pairs 403 with too few scopes alone.
            _mapper(403, UNAUTHENTICATED_BODY, "missing", also=_was_refused_by(SCHEME_POLICY), becomes=401),
            _mapper(403, UNAUTHENTICATED_BODY, "invalid", also=_was_refused_by(TOKEN_POLICY), becomes=401),
            _mapper(403, FORBIDDEN_BODY, "scopes"),
            *(_mapper(status, body) for status, body in GATEWAY_BODIES.items()),
        ]
    }


def _mapper(
    status: int, body: str, situation: str = "", *, also: Resource | None = None, becomes: int | None = None
) -> Resource:
    comparison = {"op": "EQ", "value": {"default_value": status, "runtime_key": "imp.not-used"}}
    by_status: Resource = {"status_code_filter": {"comparison": comparison}}
    challenge = {"key": "www-authenticate", "value": f"%METADATA(VIRTUAL_HOST:{CHALLENGES}:{situation})%"}
    return {
        "filter": {"and_filter": {"filters": [by_status, also]}} if also else by_status,
        # Envoy's own names the path as the realm.
        **(
            {"headers_to_add": [{"header": challenge, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]}
            if situation
            else {}
        ),
        **({"status_code": becomes} if becomes else {}),
        "body": {"inline_string": body},
        "body_format_override": {
            "text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"},
            "content_type": PROBLEM_TYPE,
        },
    }


def _came_with_a_token() -> Resource:
    return {"header_filter": {"header": IS_BEARER}}


def _was_refused_by(policy: str) -> Resource:
    name, kind = (
        "envoy.access_loggers.extension_filters.cel",
        "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
    )
    expression = f"response.code_details == 'rbac_access_denied_matched_policy[{policy}]'"
    return {"extension_filter": {"name": name, "typed_config": {"@type": kind, "expression": expression}}}
