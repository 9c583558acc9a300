"""How the project's templates are read: written with room for people, sent without what no browser shows."""

import re

from django.template.base import Origin
from django.template.loaders import filesystem

_INDENTATION = re.compile(r"\n[ \t]+")
_CONTROL = r"\{%\s*(?:if|elif|else|endif|for|empty|endfor|with|endwith|load)\b(?:(?!%\}).)*%\}"
_COMMENT = r"\{#(?:(?!#\}).)*#\}"
_LINE_OF_CONTROL = re.compile(rf"^((?:{_CONTROL}|{_COMMENT})+)\n", re.MULTILINE)


class Loader(filesystem.Loader):
    """Removes indentation, and the ends of lines that hold only control tags, when a template is read.

    Line breaks between shown parts stay, so browsers show the same.
    """

    def get_contents(self, origin: Origin) -> str:
        return _LINE_OF_CONTROL.sub(r"\1", _INDENTATION.sub("\n", super().get_contents(origin)))
