"""The headers that a caller could forge: the names that Envoy takes away before an upstream meets them.

Pure functions; only this module knows in which spellings a header may arrive.
"""

from agent.protocol.headers import NEVER_PASSED_ON, SET_BY_GATEWAYS

_SET_BY_ENVOY = ("x-forwarded-for", "x-forwarded-proto", "x-request-id")
"""The headers that Envoy sets itself.

It would pass a caller's value of the other `SET_BY_GATEWAYS` on, so upstreams get none of these, behind Kong
too.
"""

_ANY = "[^a-z0-9]"
_NOT_A_HYPHEN = "[^a-z0-9-]"


def forged_headers() -> list[str]:
    """The names under which a caller could forge a header, as regular expressions over lower case.

    One expression per name, because Envoy limits the size of an expression.
    """
    whole = [
        name.replace("-", _ANY) for name in (*NEVER_PASSED_ON, *SET_BY_GATEWAYS) if name not in _SET_BY_ENVOY
    ]
    return [*whole, *(spelling for name in _SET_BY_ENVOY for spelling in _otherwise(name))]


def _otherwise(name: str) -> list[str]:
    """Every wrong spelling: the first separator that is no hyphen stands at each place in turn."""
    parts = name.split("-")
    return [
        "-".join(parts[:place]) + _NOT_A_HYPHEN + _ANY.join(parts[place:]) for place in range(1, len(parts))
    ]
