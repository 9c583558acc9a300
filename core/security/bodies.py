"""Bounds of request bodies: the refusals that come before the body is read."""

from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from ninja.parser import Parser

from core.problems import BadRequest, Problem
from core.texts import DEPTH_MAX, VALUES_MAX, JsonRefused, read_json


class BodyTooLarge(Problem):
    """The body has more bytes than this URL accepts."""

    status = 413
    code = "body_too_large"
    title = _("Too large")

    @classmethod
    def of(cls, most: int) -> "BodyTooLarge":
        """With the limit, in bytes."""
        return cls(_("The body is too large: %(most)d bytes at most.") % {"most": most})


class BodyTooSlow(Problem):
    """The body did not come in time, or not fast enough."""

    status = 408
    code = "body_too_slow"
    title = _("Too slow")
    detail = _("The body arrived too slowly. Nothing was done; send it again.")


class TooMuchAtOnce(Problem):
    """Too many bytes of large bodies are arriving at once."""

    status = 503
    code = "too_much_at_once"
    detail = _("Too many large requests at once. Nothing was done; send it again in a few seconds.")

    def __init__(self) -> None:
        super().__init__()
        self.headers = {"Retry-After": "5"}


class TooManyValues(BadRequest):
    """A JSON body has too many values or levels."""

    code = "too_many_values"
    detail = _(
        "The body has too many values, or too many levels: %(values)d values and %(depth)d levels at most."
    )

    def __init__(self) -> None:
        super().__init__(self.detail % {"values": VALUES_MAX, "depth": DEPTH_MAX})


class BoundedParser(Parser):
    """Ninja's parser with bounds of count and depth.

    Raises TooManyValues, and ValueError for invalid JSON.
    """

    def parse_body(self, request: HttpRequest) -> Any:
        """The body's JSON."""
        try:
            return read_json(request.body)
        except JsonRefused as problem:
            raise TooManyValues from problem
