"""What somebody looks for: cleaned once for pages and API alike, and looked for in columns."""

from typing import Annotated

from django.db.models import Q
from pydantic import AfterValidator, Field

TEXT_MAX = 100


def search_text(typed: str) -> str:
    """The text without blanks around it, at most 100 characters, and without NUL, which PostgreSQL does not hold."""
    return typed.replace("\x00", "").strip()[:TEXT_MAX]


SearchText = Annotated[str, Field(max_length=TEXT_MAX), AfterValidator(search_text)]
"""The same for the JSON API, which refuses a longer one."""


def found_in(text: str, *columns: str) -> Q:
    """Rows in which one of the columns holds the text, large or small; all rows when there is no text."""
    return Q(*((f"{column}__icontains", text) for column in columns), _connector=Q.OR) if text else Q()
