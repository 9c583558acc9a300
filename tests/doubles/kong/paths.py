"""Kong's idea of a path: normalisation of requests and of what routes may carry."""

import re
from urllib.parse import quote_from_bytes, unquote_to_bytes

_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_RESERVED = frozenset(b"!*'();:@&=+$,/?%#[]")


def normal(path: str) -> str:
    """A path as the router sees it.

    Needless percent-encoding decoded, reserved signs left encoded in capitals, slashes merged, dot segments
    removed.
    """
    text = _PERCENT.sub(_decoded, path)
    text = (
        text.encode("latin-1", errors="replace").decode("utf-8", errors="replace")
        if _is_latin(text)
        else text
    )
    return _without_dots(re.sub("/{2,}", "/", text))


def encoded_for_upstream(path: str) -> str:
    """A normal path on its way to the upstream: spaces, and what is not plain ASCII, are encoded again."""
    return "".join(
        sign if sign.isascii() and sign > " " else quote_from_bytes(sign.encode()) for sign in path
    )


def fault_of(path: str) -> str:
    """What is wrong with a route's path ("" when nothing is)."""
    if path.startswith("~"):
        return _regex_fault(path[1:])
    if not path.startswith("/"):
        return "should start with: / (fixed path) or ~/ (regex path)"
    if "//" in path:
        return "must not have empty segments"
    normal = _without_dots(_PERCENT.sub(_decoded_whole, path))
    normal = (
        normal.encode("latin-1").decode("utf-8", errors="replace")
        if _PERCENT.search(path) and _is_latin(normal)
        else normal
    )
    return "" if normal == path else f"non-normalized path, consider use '{normal}' instead"


def unreadable(path: str) -> str:
    """The router's objection to a regex that PCRE takes ("" when it has none)."""
    look_around = re.search(r"\(\?<?[=!]", path)
    if not path.startswith("~") or not look_around:
        return ""
    regex = "^" + path[1:]
    literal = f'r#"{regex}"#'
    under, at = "^" + "-" * (len(literal) - 2) + "^", look_around.start()
    return (
        f"Router Expression failed validation:  --> 1:14\n  |\n"
        f"1 | (http.path ~ {literal})\n  |              {under}\n  |\n"
        f"  = regex parse error:\n    {regex}\n    {' ' * at}{'^' * len(look_around.group())}\n"
        "error: look-around, including look-ahead and look-behind, is not supported"
    )


def _regex_fault(regex: str) -> str:
    if not regex.startswith("/"):
        return "should start with: / (fixed path) or ~/ (regex path)"
    try:
        re.compile(python_regex(regex))
    except re.error:
        # Not in the records: PCRE's message for anything but a missing parenthesis.
        return (
            f"invalid regex: '{regex}' (PCRE returned: pcre2_compile() failed: "
            f'missing closing parenthesis in "{regex}")'
        )
    return ""


def python_regex(regex: str) -> str:
    """Kong's regex in Python's words."""
    return re.sub(r"\(\?<(?=[A-Za-z])", "(?P<", regex)


def _decoded(match: re.Match[str]) -> str:
    value = int(match.group(1), 16)
    return chr(value) if value in _UNRESERVED or value >= 0x80 or value == 0x20 else match.group().upper()


def _decoded_whole(match: re.Match[str]) -> str:
    value = int(match.group(1), 16)
    return match.group().upper() if value in _RESERVED else unquote_to_bytes(match.group()).decode("latin-1")


def _is_latin(text: str) -> bool:
    return all(ord(sign) < 0x100 for sign in text)


def _without_dots(path: str) -> str:
    normal: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            normal = normal[:-1]
        elif segment != ".":
            normal.append(segment)
    if segments and segments[-1] in {".", ".."}:
        normal.append("")
    return "/" + "/".join(normal)
