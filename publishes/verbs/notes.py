"""The texts that a person gives with a verb: a note, a reason."""

from django.utils.translation import gettext_lazy as _

from core.problems import Invalid


def checked_note(note: str) -> str:
    """A note of at most 500 characters. Raises Invalid."""
    text = _checked_text("note", note)
    if len(text) > 500:
        raise Invalid(fields={"note": [_("Use 500 characters at most.")]})
    return text


def checked_reason(reason: str) -> str:
    """A withdrawal's reason, 1 to 500 characters. Raises Invalid."""
    text = _checked_text("reason", reason)
    if not 1 <= len(text) <= 500:
        raise Invalid(fields={"reason": [_("Say why, in 1 to 500 characters.")]})
    return text


def _checked_text(field: str, text: str) -> str:
    # PostgreSQL holds neither NUL nor half of a surrogate pair.
    if "\x00" in text or any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise Invalid(fields={field: [_("The text has characters that cannot be stored.")]})
    return text.strip()
