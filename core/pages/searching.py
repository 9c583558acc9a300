"""Search texts: cleaned in one way for pages and API, and searched in columns."""

from typing import Annotated

from django.db.models import Q
from pydantic import AfterValidator, Field

TEXT_MAX = 100


def search_text(typed: str) -> str:
    """The text stripped, cut to 100 characters, and without NUL, which PostgreSQL cannot store."""
    return typed.replace("\x00", "").strip()[:TEXT_MAX]


SearchText = Annotated[str, Field(max_length=TEXT_MAX), AfterValidator(search_text)]
"""The search text of the JSON API, which refuses a longer one."""


def text_filter(text: str, *columns: str) -> Q:
    """Rows with the text in one of the columns, ignoring case; all rows for an empty text."""
    return Q(*((f"{column}__icontains", text) for column in columns), _connector=Q.OR) if text else Q()
