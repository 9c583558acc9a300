"""All texts marked for translation, found by Babel in Python, and by Django and Babel in templates."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

from babel.messages.extract import extract
from babel.messages.pofile import read_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parents[1]
APPS = ("clusters", "config", "core", "gateways", "products", "publishes", "tenants")
KEYWORDS: dict[str, tuple[int | tuple[int, str], ...] | None] = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop")),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
}
# What templatize leaves is code between filler; only the calls matter.
_CALL = re.compile(
    r"""\b([np]?gettext|_)\((u?(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')(?:\s*,\s*u?(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'))?)"""
)


def in_code() -> set[str]:
    """The msgids of Python and templates; of plurals the singular."""
    return {
        text for app in APPS for path in (ROOT / app).rglob("*.py") for text in _texts(path.read_bytes())
    } | {text for path in (ROOT / "templates").rglob("*.html") for text in _of_template(path)}


def in_catalogue(language: str) -> dict[str, tuple[str, bool]]:
    """The entries of the .po file: translation, and whether it is marked fuzzy. Without the header."""
    with (ROOT / "locale" / language / "LC_MESSAGES" / "django.po").open("rb") as file:
        return {
            _key(m.context, m.id): (_first(m.string), m.fuzzy) for m in read_po(file, locale=language) if m.id
        }


def _texts(code: bytes) -> Iterator[str]:
    for _line, message, _comments, context in extract("python", io.BytesIO(code), KEYWORDS):
        yield _key(context, message)


def _of_template(path: Path) -> Iterator[str]:
    calls = "\n".join(
        f"{name}({arguments})"
        for name, arguments in _CALL.findall(templatize(path.read_text(), origin=str(path)))
    )
    return _texts(calls.encode())


def _key(context: str | None, text: object) -> str:
    """A text, after its context where it has one."""
    return f"{context}: {_first(text)}" if context else _first(text)


def _first(text: object) -> str:
    """A text, or the first of its plural forms."""
    return str(text[0] if isinstance(text, list | tuple) else text or "")
