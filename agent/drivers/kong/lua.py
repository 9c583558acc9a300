"""The Lua that runs at each request of our services, made of the files beside this one. Pure functions."""

from itertools import product
from pathlib import Path

from agent.drivers.kong.entities import ADDRESS_TAG, HOST_TAG, Body
from agent.drivers.problems import FORBIDDEN_BODY, PROBLEM_TYPE, UNAUTHENTICATED_BODY, challenges
from agent.protocol.headers import CONSUMER_HEADER, NEVER_PASSED_ON, SET_BY_GATEWAYS
from agent.protocol.spec import AuthMode, Spec

CLAIMS, KEYS, PASS, REFUSAL, REFUSAL_BODY, SCHEME = (
    Path(__file__).with_name(f"{name}.lua").read_text(encoding="utf-8")
    for name in ("claims", "keys", "pass", "refusal", "refusal_body", "scheme")
)
ADMIT_EVERYBODY = "local function judge() end\n"


def post_function(spec: Spec, *, consumers: str, issuer: str) -> Body:
    """The configuration of the plugin.

    `consumers` is the prefix of the user names whose keys are let in; `issuer` is the id of the consumer who
    signs.
    """
    passing = {"NEVER_PASSED_ON": _list(_forged_headers()), "CONSUMER_HEADER": _quoted(CONSUMER_HEADER)}
    passing |= {
        "ADDRESS_TAG": _quoted(ADDRESS_TAG),
        "HOST_TAG": _quoted(HOST_TAG),
        "PROBLEM_TYPE": _quoted(PROBLEM_TYPE),
    }
    if spec.auth.mode == AuthMode.NONE:
        return {"access": [_code(passing, ADMIT_EVERYBODY, PASS)]}
    challenge = challenges(spec)
    refusing = {"UNAUTHENTICATED": _quoted(UNAUTHENTICATED_BODY), "INVALID": _quoted(challenge.invalid)}
    if spec.auth.mode == AuthMode.API_KEY:
        access = _code({**passing, **refusing, "CONSUMERS": _quoted(consumers)}, KEYS, PASS)
    else:
        access = _code({**passing, **refusing, **_claims(spec, issuer)}, CLAIMS, PASS)
    refusal = _code(
        {**refusing, "MISSING": _quoted(challenge.missing), "PROBLEM_TYPE": _quoted(PROBLEM_TYPE)}, REFUSAL
    )
    return {"access": [access], "header_filter": [refusal], "body_filter": [REFUSAL_BODY]}


def _forged_headers() -> tuple[str, ...]:
    """The names under which a caller could forge a header.

    Hyphens and underscores alone: nginx drops a name with any other sign in it.
    """
    spellings = [spelling for name in (*NEVER_PASSED_ON, *SET_BY_GATEWAYS) for spelling in _spellings(name)]
    return tuple(spelling for spelling in spellings if spelling not in SET_BY_GATEWAYS)


def _spellings(name: str) -> list[str]:
    first, *following = name.split("-")
    return [
        first + "".join(map("".join, zip(separators, following, strict=True)))
        for separators in product("-_", repeat=len(following))
    ]


def _claims(spec: Spec, issuer: str) -> dict[str, str]:
    auth, challenge = spec.auth, challenges(spec)
    return {
        "ISSUER": _quoted(auth.issuer),
        "CONSUMER": _quoted(issuer),
        "AUDIENCE": _quoted(auth.audience),
        "SCOPES": _list(auth.scopes),
        "FORBIDDEN": _quoted(FORBIDDEN_BODY),
        "MISSING": _quoted(challenge.missing),
        "TOO_FEW_SCOPES": _quoted(challenge.scopes),
    }


def _code(values: dict[str, str], *parts: str) -> str:
    return "\n".join([*(f"local {name} = {value}" for name, value in values.items()), *parts])


def _list(texts: tuple[str, ...]) -> str:
    return "{ " + ", ".join(_quoted(text) for text in texts) + " }"


def _quoted(text: str) -> str:
    """A Lua string of exactly these bytes, whatever they are."""
    return (
        '"'
        + "".join(
            chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\{byte:03d}"
            for byte in text.encode()
        )
        + '"'
    )
