"""The bounds of numbers and texts that travel: what breaks one is refused where it is read.

What people wrote or programs chose has to fit (`line`, `Digest`, `Generation`); the refusal names the field.
A text that a gateway, a name server or the system gave is cut to fit instead (`excerpt`), where a message is
made and where it is read: a long or odd error must not cost the answer that it explains.
"""

import re
import unicodedata
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

GENERATION_MAX = 2**53
"""The highest generation that travels: up to here every JSON reader counts exactly.

The database holds higher ones.
"""

REPORT_ROWS = 1_000
"""Rows of one page of a report."""

RESULT_ROWS = 1_000
"""Results, or ids of publishes, of one message."""

_DIGEST = r"^([0-9a-f]{64})?$"

Generation = Annotated[int, Field(ge=0, le=GENERATION_MAX)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Protocol = Annotated[int, Field(ge=0, le=2**15 - 1)]
Digest = Annotated[str, Field(pattern=_DIGEST)]
"""SHA-256 in hex; empty when it is not known."""


def line(limit: int) -> AfterValidator:
    """A text of one line that the database can hold: at most `limit` characters, all of them printable."""

    def check(text: str) -> str:
        if len(text) > limit:
            raise ValueError(f"has more than {limit} characters")
        if not text.isprintable():
            raise ValueError("has characters that cannot be printed")
        return text

    return AfterValidator(check)


def excerpt(limit: int) -> BeforeValidator:
    """A text from outside, cut by `shortened`."""

    def cut(text: Any) -> Any:
        return shortened(text, limit) if isinstance(text, str) else text

    return BeforeValidator(cut)


def shortened(text: str, limit: int) -> str:
    """The beginning of a text, at most `limit` characters, with an ellipsis where it was cut.

    Control characters and half characters become spaces: a database or a terminal cannot take them.
    """
    beginning = "".join(
        " " if unicodedata.category(letter) in {"Cc", "Cs"} else letter for letter in text[: limit + 1]
    )
    return beginning if len(beginning) <= limit else beginning[: limit - 1] + "…"


def checked_url(text: str) -> str:
    """The text itself. Raises ValueError unless it is empty or a usable URL.

    That is `http://` or `https://` with a host, and a port from 1 to 65535 or none.
    """
    try:
        parts = urlsplit(text)
        is_usable = (
            parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and parts.port != 0
            and text.isprintable()
            and " " not in text
        )
    except ValueError:
        is_usable = False
    if text and not is_usable:
        raise ValueError("is not a URL such as https://gateway.example:8443")
    return text


def is_digest(text: str) -> bool:
    """Whether the text is a digest, or empty."""
    return re.fullmatch(_DIGEST, text) is not None


def bounded(generation: int) -> int:
    """A generation that stands on a gateway, where anybody may have written it, as one that travels."""
    return min(max(generation, 0), GENERATION_MAX)


Url = Annotated[str, line(200), AfterValidator(checked_url)]
