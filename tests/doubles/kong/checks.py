"""Checks of single values, with the words of Kong's schema; "" means fine."""

import re
from collections.abc import Callable
from typing import Any

Check = Callable[[Any], str]


def name_fault(value: Any) -> str:
    fine = not any(sign.isascii() and not sign.isalnum() and sign not in "._~-" for sign in value)
    return (
        ""
        if fine
        else f"invalid value '{value}': "
        "the only accepted ascii characters are alphanumerics or ., -, _, and ~"
    )


def tag_fault(value: Any) -> str:
    return (
        f"invalid tag '{value}': expected printable ascii (except `,` and `/`) or valid utf-8 sequences"
        if re.search("[,/]", str(value))
        else ""
    )


def between(low: int, high: int) -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, int):
            return "expected an integer"
        return "" if low <= value <= high else f"value should be between {low} and {high}"

    return check


def host_fault(value: Any) -> str:
    if "*" in value:
        fine = re.fullmatch(r"\*\.[^*]+|[^*]+\.\*", value)
        return "" if fine else "invalid wildcard: must be placed at leftmost or rightmost label"
    return "" if re.fullmatch(r"[A-Za-z0-9._-]+(:\d+)?", value) else f"invalid hostname: {value}"


def service_path_fault(value: Any) -> str:
    return "" if value.startswith("/") else "should start with: /"


def method_fault(value: Any) -> str:
    return "" if re.fullmatch("[A-Z]+", value) else f"invalid value: {value}"


ALGORITHMS = (
    "HS256",
    "HS384",
    "HS512",
    "RS256",
    "RS384",
    "RS512",
    "ES256",
    "ES384",
    "ES512",
    "PS256",
    "PS384",
    "PS512",
    "EdDSA",
)


def algorithm_fault(value: Any) -> str:
    return "" if value in ALGORITHMS else f"expected one of: {', '.join(ALGORITHMS)}"
