"""Bounds of numbers, texts and JSON from outside: size, count and depth."""

import json
import re
from collections.abc import Iterator
from typing import Any

NUMBER_MAX = 2**63 - 1
"""The largest number of a database column."""

VALUES_MAX, DEPTH_MAX = 5_000, 32
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class JsonRefused(ValueError):
    """JSON with too many values or levels."""


def whole_number(text: str, *, most: int = NUMBER_MAX) -> int | None:
    """The number in a text of ASCII digits, 0 to `most`; None for any other text."""
    if not re.fullmatch(r"[0-9]{1,19}", text):
        return None
    number = int(text)
    return number if number <= most else None


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can store the text: no NUL, no half of a surrogate pair."""
    return not _UNSTORABLE.search(text)


def storable(text: str, *, most: int) -> str:
    """The first `most` characters of a text; characters that cannot be stored are replaced."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text[:most])


def read_json(raw: bytes | str, *, values: int = VALUES_MAX, depth: int = DEPTH_MAX) -> Any:
    """Parse JSON. Raises ValueError, and JsonRefused for too many values or levels."""
    try:
        document = json.loads(raw)
    except RecursionError as problem:
        raise JsonRefused from problem
    level, count = [document], 0
    for _level in range(depth + 1):
        count += len(level)
        if count > values:
            raise JsonRefused
        level = [child for value in level for child in _children(value)]
        if not level:
            return document
    raise JsonRefused


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value
