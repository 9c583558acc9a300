"""What may come in from outside as number, text or JSON: the one place that says how much of it, and how deep."""

import json
import re
from collections.abc import Iterator
from typing import Any

NUMBER_MAX = 2**63 - 1
"""The largest number that a column holds."""

VALUES_MAX, DEPTH_MAX = 5_000, 32
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class JsonRefused(ValueError):
    """JSON with more values, or deeper, than is taken."""


def whole_number(text: str, *, most: int = NUMBER_MAX) -> int | None:
    """The number that a text of ASCII digits says, 0 to `most`; None for anything else, however long."""
    if not re.fullmatch(r"[0-9]{1,19}", text):
        return None
    number = int(text)
    return number if number <= most else None


def is_storable(text: str) -> bool:
    """Whether PostgreSQL holds the text: no NUL, and no half of a surrogate pair."""
    return not _UNSTORABLE.search(text)


def storable(text: str, *, most: int) -> str:
    """At most so many characters of a text, with a mark where one cannot be stored."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text[:most])


def read_json(raw: bytes | str, *, values: int = VALUES_MAX, depth: int = DEPTH_MAX) -> Any:
    """What a JSON text says. Raises ValueError; JsonRefused when it has more values or is deeper than that."""
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
