"""The plugins of the recorded node: configuration with defaults, and the rules on values in the records."""

from itertools import pairwise
from typing import Any

from tests.doubles.kong.lua import Sandbox

Fields = dict[str, Any]

_LISTS: Fields = {"headers": [], "json": [], "json_types": []}
_REDIS: Fields = {
    "database": 0,
    "host": None,
    "password": None,
    "port": 6379,
    "server_name": None,
    "ssl": False,
    "ssl_verify": False,
    "timeout": 2000,
    "username": None,
}
_FUNCTIONS: Fields = {
    phase: [] for phase in ("access", "body_filter", "certificate", "header_filter", "log", "rewrite")
}
_COMPILER = Sandbox()
_WINDOWS = ("second", "minute", "hour", "day", "month", "year")

PRIORITIES = {
    "pre-function": 1000000,
    "correlation-id": 100001,
    "cors": 2000,
    "jwt": 1450,
    "key-auth": 1250,
    "acl": 950,
    "rate-limiting": 910,
    "request-transformer": 801,
    "response-transformer": 800,
    "request-termination": 2,
    "post-function": -1000,
}

DEFAULTS: dict[str, Fields] = {
    "key-auth": {
        "anonymous": None,
        "hide_credentials": False,
        "key_in_body": False,
        "key_in_header": True,
        "key_in_query": True,
        "key_names": ["apikey"],
        "realm": None,
        "run_on_preflight": True,
    },
    "jwt": {
        "anonymous": None,
        "claims_to_verify": None,
        "cookie_names": [],
        "header_names": ["authorization"],
        "key_claim_name": "iss",
        "maximum_expiration": 0,
        "realm": None,
        "run_on_preflight": True,
        "secret_is_base64": False,
        "uri_param_names": ["jwt"],
    },
    "acl": {
        "allow": None,
        "always_use_authenticated_groups": False,
        "deny": None,
        "hide_groups_header": False,
    },
    "request-termination": {
        "body": None,
        "content_type": None,
        "echo": False,
        "message": None,
        "status_code": 503,
        "trigger": None,
    },
    "pre-function": dict(_FUNCTIONS),
    "post-function": dict(_FUNCTIONS),
    "response-transformer": {
        "add": dict(_LISTS),
        "append": dict(_LISTS),
        "remove": {"headers": [], "json": []},
        "rename": {"headers": [], "json": []},
        "replace": dict(_LISTS),
    },
    "request-transformer": {
        "add": {"body": [], "headers": [], "querystring": []},
        "append": {"body": [], "headers": [], "querystring": []},
        "http_method": None,
        "remove": {"body": [], "headers": [], "querystring": []},
        "rename": {"body": [], "headers": [], "querystring": []},
        "replace": {"body": [], "headers": [], "querystring": [], "uri": None},
    },
    "cors": {
        "credentials": False,
        "exposed_headers": None,
        "headers": None,
        "max_age": None,
        "methods": ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT"],
        "origins": None,
        "preflight_continue": False,
        "private_network": False,
    },
    "rate-limiting": {
        "error_code": 429,
        "error_message": "API rate limit exceeded",
        "fault_tolerant": True,
        "header_name": None,
        "hide_client_headers": False,
        "limit_by": "consumer",
        "path": None,
        "policy": "local",
        "redis": dict(_REDIS),
        "sync_rate": -1,
        **{f"redis_{name}": value for name, value in _REDIS.items()},
        **dict.fromkeys(_WINDOWS),
    },
    # Not in the records: nothing here uses it.
    "correlation-id": {
        "echo_downstream": False,
        "generator": "uuid#counter",
        "header_name": "Kong-Request-ID",
    },
}


def with_defaults(name: str, settings: Fields) -> tuple[Fields, dict[str, Any]]:
    """A plugin's whole configuration, and what is wrong with the given one: field → message."""
    defaults = DEFAULTS[name]
    wrong: dict[str, Any] = {key: "unknown field" for key in settings if key not in defaults}
    config = {
        key: _filled(default, settings.get(key)) if settings.get(key) is not None else _copied(default)
        for key, default in defaults.items()
    }
    if name in {"pre-function", "post-function"}:
        wrong |= _lua_faults(name, config)
    if name == "rate-limiting":
        wrong |= {
            key: "value must be greater than 0"
            for key in _WINDOWS
            if isinstance(config[key], int) and config[key] <= 0
        }
    return config, wrong


def whole_fault(name: str, config: Fields) -> tuple[list[str], str]:
    """Messages about the entity as a whole, and one about its configuration as a whole ("" for none)."""
    if name == "acl":
        return _acl_faults(config), ""
    if name == "rate-limiting":
        return _limit_faults(config)
    if name == "request-termination":
        if config["message"] is not None and (
            config["body"] is not None or config["content_type"] is not None
        ):
            return [], "message cannot be used with content_type or body"
        if config["content_type"] is not None and config["body"] is None:
            return [], "content_type requires a body"
    return [], ""


def _lua_faults(name: str, config: Fields) -> dict[str, Any]:
    faults = {
        phase: [fault for code in config[phase] if (fault := _COMPILER.fault_of(code))]
        for phase in _FUNCTIONS
    }
    return {
        phase: [f"error parsing {name}: {fault}" for fault in errors]
        for phase, errors in faults.items()
        if errors
    }


def _acl_faults(config: Fields) -> list[str]:
    both = "'config.allow', 'config.deny'"
    faults = (
        []
        if bool(config["allow"]) != bool(config["deny"])
        else [f"exactly one of these fields must be non-empty: {both}"]
    )
    empty = any(config[key] == [] for key in ("allow", "deny"))
    return faults + ([f"at least one of these fields must be non-empty: {both}"] if empty else [])


def _limit_faults(config: Fields) -> tuple[list[str], str]:
    limits = [(window, config[window]) for window in _WINDOWS if config[window] is not None]
    if not limits:
        names = ", ".join(f"'config.{window}'" for window in _WINDOWS)
        return [f"at least one of these fields must be non-empty: {names}"], ""
    for (small, low), (large, high) in pairwise(limits):
        if high < low:
            return (
                [],
                f"The limit for {large}({high:.1f}) cannot be lower than the limit for {small}({low:.1f})",
            )
    return [], ""


def _filled(default: Any, value: Any) -> Any:
    return {**_copied(default), **value} if isinstance(default, dict) and isinstance(value, dict) else value


def _copied(default: Any) -> Any:
    if isinstance(default, dict):
        return {key: _copied(value) for key, value in default.items()}
    return list(default) if isinstance(default, list) else default
