"""Texts that the agent sends on, from a gateway, a name server or the system: cut to a length and cleaned.

No such text goes out unbounded.
"""

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
"""Characters at most, by field.

With these, the answer to a whole batch stays below the megabyte that the control plane reads.
"""

T = TypeVar("T", Result, Heartbeat)


def bounded(message: T) -> T:
    """The same message, its texts cut and without characters that a database or a terminal cannot take."""
    return message.model_copy(
        update={
            name: short(text, limit)
            for name, limit in LENGTHS.items()
            if isinstance(text := getattr(message, name, None), str)
        }
    )


def short(text: str, limit: int) -> str:
    """The beginning of a text, with an ellipsis where it was cut.

    Control characters and half characters become spaces.
    """
    beginning = "".join(
        " " if unicodedata.category(letter) in {"Cc", "Cs"} else letter for letter in text[: limit + 1]
    )
    return beginning if len(beginning) <= limit else beginning[: limit - 1] + "…"
