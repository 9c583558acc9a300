"""The words that the agent sends on: what a gateway, a name server or the system said, cut to a length and cleaned. Nothing of that goes out unbounded."""

import unicodedata
from collections.abc import Mapping
from typing import TypeVar

from agent.protocol.messages import Heartbeat, Result

LENGTHS: Mapping[str, int] = {
    "message": 1000,
    "entity": 200,
    "field": 200,
    "code": 50,
    "step": 50,
    "gateway_error": 500,
    "gateway_version": 100,
    "gateway_mode": 50,
}
"""Characters at most, by field: with these, the answer to a whole batch stays below the megabyte that the control plane reads."""

T = TypeVar("T", Result, Heartbeat)


def bounded(message: T) -> T:
    """The same with its words no longer than that, and without characters that no database or terminal wants."""
    return message.model_copy(
        update={
            name: short(text, limit)
            for name, limit in LENGTHS.items()
            if isinstance(text := getattr(message, name, None), str)
        }
    )


def short(text: str, limit: int) -> str:
    """The beginning of a text, with an ellipsis where it was cut; control characters and half characters become spaces."""
    beginning = "".join(
        " " if unicodedata.category(letter) in {"Cc", "Cs"} else letter for letter in text[: limit + 1]
    )
    return beginning if len(beginning) <= limit else beginning[: limit - 1] + "…"
