"""Refusals: what a service raises when it says no, whichever door asked."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

MEDIA_TYPE = "application/problem+json"
REFUSAL = "imp.refusal"
"""Where in a request's environ the web's edge leaves the problem for which it refused the body. No header can be named so."""
Text = str | Promise


class Problem(Exception):
    """A refusal in words. `code` is stable for programs, `detail` says what is wrong and what to do, `fields` per field.

    `title` heads the page that tells it, where the status alone would say something else.
    """

    status = 500
    code = "internal"
    title: Text = ""
    detail: Text = _("Something went wrong on our side. Try again in a moment.")

    def __init__(
        self,
        detail: Text | None = None,
        *,
        code: str | None = None,
        fields: dict[str, list[Text]] | None = None,
    ) -> None:
        self.detail = self.detail if detail is None else detail
        self.code = code or self.code
        self.fields = fields or {}
        self.headers: dict[str, str] = {}
        super().__init__(self.code)


class NotFound(Problem):
    """It is not there, or it is not yours: the two look the same."""

    status = 404
    code = "not_found"
    detail = _("There is nothing here, or it is not yours.")


class Unauthenticated(Problem):
    """Nobody is signed in, or the token is not valid."""

    status = 401
    code = "unauthenticated"
    detail = _("Sign in, or send a valid API token as Authorization: Bearer.")


class Forbidden(Problem):
    """You are known, but your role does not allow it."""

    status = 403
    code = "forbidden"
    detail = _("Your role does not allow this. Ask an owner or admin of your workspace.")


class Conflict(Problem):
    """The thing is in a state in which this cannot be done; the detail says what to do instead."""

    status = 409
    code = "conflict"
    detail = _("This cannot be done now.")


class ChangedMeanwhile(Conflict):
    """Somebody else changed it after it was read. For programs that sent If-Match this is 412, for people a page with both."""

    status = 412
    code = "changed_meanwhile"
    detail = _(
        "Somebody else changed this in the meantime. Load it again, look at it, and make your change anew."
    )


class RemovedMeanwhile(Conflict):
    """Something that the change refers to was removed while the change was made; only the database noticed."""

    code = "removed_meanwhile"
    detail = _("Something that this needs was removed in the meantime. Load the page again, and choose anew.")


class Invalid(Problem):
    """One or more fields are not right; `fields` says which and why."""

    status = 422
    code = "invalid"
    detail = _("Some fields are not right.")


class BadRequest(Problem):
    """Something about the request itself is wrong."""

    status = 400
    code = "bad_request"
    detail = _("Something about the request is wrong. Go back, load the page again, and try once more.")


class MethodNotAllowed(Problem):
    """The URL is there, but not for this method."""

    status = 405
    code = "method_not_allowed"
    detail = _("This URL does not know this method.")


class StalePage(Problem):
    """The form's secret is not the browser's: the page is old, or cookies are off."""

    status = 403
    code = "stale_page"
    title = _("This page is too old")
    detail = _(
        "This page was open for too long, or the browser keeps no cookies. Load the page again, then try once more."
    )


class LockedOut(Problem):
    """Too many wrong passwords for this name from this address."""

    status = 429
    code = "locked_out"
    detail = _("Too many wrong passwords. Wait 15 minutes, then try again.")


class Unavailable(Problem):
    """The database is away."""

    status = 503
    code = "unavailable"
    detail = _(
        "The service cannot be reached for a moment. What is live stays live. Try again in a few seconds."
    )
