"""What the body of a request may be: why one is refused before anybody has looked at what it asks for."""

from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from ninja.parser import Parser

from core.problems import BadRequest, Problem
from core.texts import DEPTH_MAX, VALUES_MAX, JsonRefused, read_json


class BodyTooLarge(Problem):
    """The body has more bytes than this URL takes."""

    status = 413
    code = "body_too_large"
    title = _("Too large")

    @classmethod
    def of(cls, most: int) -> "BodyTooLarge":
        """With the limit, in bytes."""
        return cls(
            _("The body has more than %(most)d bytes, which is the most that is taken here.") % {"most": most}
        )


class BodyTooSlow(Problem):
    """The body did not come in time, or not fast enough."""

    status = 408
    code = "body_too_slow"
    title = _("Too slow")
    detail = _("The body came too slowly. Nothing was done; send it again.")


class TooMuchAtOnce(Problem):
    """Too many bytes of large bodies are on their way at once."""

    status = 503
    code = "too_much_at_once"
    detail = _("Too many large bodies are on their way. Nothing was done; send it again in a few seconds.")

    def __init__(self) -> None:
        super().__init__()
        self.headers = {"Retry-After": "5"}


class TooManyValues(BadRequest):
    """A JSON body has more values, or is deeper, than anything that is asked for here."""

    code = "too_many_values"
    detail = _(
        "The body has too many values, or too many levels: %(values)d values and %(depth)d levels at most."
    )

    def __init__(self) -> None:
        super().__init__(self.detail % {"values": VALUES_MAX, "depth": DEPTH_MAX})


class BoundedParser(Parser):
    """Ninja's, but for a bound on count and depth. Raises TooManyValues, and ValueError for what is no JSON."""

    def parse_body(self, request: HttpRequest) -> Any:
        """The body's JSON."""
        try:
            return read_json(request.body)
        except JsonRefused as problem:
            raise TooManyValues from problem
