"""The listeners of an Envoy: the callers' one, and the agent's own for the proof.

Both have the same filters and the same routes. Pure functions; only this module says what a request passes
through.
"""

from collections.abc import Sequence
from pathlib import Path

from agent.drivers.envoy.forged_headers import forged_headers
from agent.drivers.envoy.local_replies import local_replies
from agent.drivers.envoy.messages import (
    EXTENSIONS,
    FROM_AGENT,
    HTTP_FILTERS,
    TYPE,
    Resource,
    socket_address,
)

CALLERS, PROOF = "imp-http", "imp-proof"

AUTH = "imp.auth"
"""The filter that does nothing until a publish's routes say what it asks callers for."""

SCOPE_HEADER = "imp-host"
"""By this header Envoy finds the publish of a request. Envoy sets it itself, and no upstream gets it."""

_MATCHING = f"{EXTENSIONS}.common.matching.v3"

_LOWER_CASE = f"""
function envoy_on_request(handle)
  local headers = handle:headers()
  headers:replace("{SCOPE_HEADER}", string.lower(headers:get(":authority")))
  handle:clearRouteCache()
end
"""


def callers_listener(proxy: str) -> Resource:
    """Where callers come in."""
    return _listener(CALLERS, socket_address(proxy))


def proof_listener(socket: Path) -> Resource:
    """Where the agent asks each worker by itself: connections go to the worker that has fewest."""
    return {
        **_listener(PROOF, {"pipe": {"path": str(socket), "mode": 0o600}}),
        "connection_balance_config": {"exact_balance": {}},
        # The agent has to get in when callers have taken all connections.
        "ignore_global_conn_limit": True,
    }


def asked_of_callers(filters: Sequence[Resource]) -> Resource:
    """What the auth filter becomes for the routes that carry this: these filters in a row, or nothing."""
    matcher: Resource = {}
    if filters:
        chain: Resource = {"filter_chain": {"typed_config": list(filters)}}
        matcher = {"on_no_match": _action(chain)}
    return {"@type": f"{_MATCHING}.ExtensionWithMatcherPerRoute", "xds_matcher": matcher}


def _listener(name: str, address: Resource) -> Resource:
    manager = {
        "@type": f"{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "scoped_routes": _scoped_routes(),
        "early_header_mutation_extensions": [_scope_header()],
        # An edge proxy: own the forwarding headers, and match routes on the path as the upstream understands
        # it.
        "use_remote_address": True,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD",
        "strip_trailing_host_dot": True,
        "request_headers_timeout": "10s",
        "http_protocol_options": {"accept_http_10": True},
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "http_filters": _filters(),
        "local_reply_config": local_replies(),
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {"name": name, "address": address, "filter_chains": [chain]}


def _scoped_routes() -> Resource:
    # The port is no part of a publish's host.
    host = {"header_value_extractor": {"name": SCOPE_HEADER, "element_separator": ":", "index": 0}}
    return {
        "name": "imp",
        "scope_key_builder": {"fragments": [host]},
        "rds_config_source": FROM_AGENT,
        "scoped_rds": {"scoped_rds_config_source": FROM_AGENT},
    }


def _scope_header() -> Resource:
    """Before Envoy looks for the publish, the header says the host as the caller wrote it."""
    header = {"key": SCOPE_HEADER, "value": "%REQ(:authority)%"}
    mutation = {"append": {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
    kind = f"{EXTENSIONS}.http.early_header_mutation.header_mutation.v3.HeaderMutation"
    return {
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {"@type": kind, "mutations": [mutation]},
    }


def _filters() -> list[Resource]:
    forged = [
        {"remove_on_match": {"key_matcher": {"safe_regex": {"regex": name}}}} for name in forged_headers()
    ]
    return [
        _lower_case(),
        {
            "name": "envoy.filters.http.header_mutation",
            "typed_config": {
                "@type": f"{HTTP_FILTERS}.header_mutation.v3.HeaderMutation",
                "mutations": {"request_mutations": forged},
            },
        },
        _switch(AUTH, matcher={}),
        {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{HTTP_FILTERS}.router.v3.Router"}},
    ]


def _lower_case() -> Resource:
    """Scopes are compared letter by letter: a host with capitals is sought once more in small letters."""
    host = {"@type": f"{TYPE}/envoy.type.matcher.v3.HttpRequestHeaderMatchInput", "header_name": ":authority"}
    capitals = {"safe_regex": {"google_re2": {}, "regex": ".*[A-Z].*"}}
    predicate = {
        "single_predicate": {"input": {"name": "host", "typed_config": host}, "value_match": capitals}
    }
    script = {
        "name": "envoy.filters.http.lua",
        "typed_config": {
            "@type": f"{HTTP_FILTERS}.lua.v3.Lua",
            "default_source_code": {"inline_string": _LOWER_CASE},
        },
    }
    matchers = [{"predicate": predicate, "on_match": _action({"typed_config": script})}]
    return _switch("imp.lower-case", matcher={"matcher_list": {"matchers": matchers}})


def _switch(name: str, *, matcher: Resource) -> Resource:
    """A filter that becomes what its matcher says; nothing when it says nothing."""
    nothing = {"name": "composite", "typed_config": {"@type": f"{HTTP_FILTERS}.composite.v3.Composite"}}
    config = {
        "@type": f"{_MATCHING}.ExtensionWithMatcher",
        "extension_config": nothing,
        "xds_matcher": matcher,
    }
    return {"name": name, "typed_config": config}


def _action(filters: Resource) -> Resource:
    config = {"@type": f"{HTTP_FILTERS}.composite.v3.ExecuteFilterAction", **filters}
    return {"action": {"name": "filters", "typed_config": config}}
