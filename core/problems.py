"""Refusals: the exceptions that services raise, the same for every door."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

MEDIA_TYPE = "application/problem+json"
REFUSAL = "imp.refusal"
"""The environ key of the problem for which the edge refused the body. No header can have this name."""
Text = str | Promise


class Problem(Exception):
    """A refusal. `code` is stable for programs, `detail` says what is wrong and what to do.

    `fields` has the reasons per field. `title` is the heading of its page, if the status has no fitting one.
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
    """The record does not exist, or belongs to another tenant: both look the same."""

    status = 404
    code = "not_found"
    detail = _("Not found, or you have no access.")


class Unauthenticated(Problem):
    """Nobody is signed in, or the token is not valid."""

    status = 401
    code = "unauthenticated"
    detail = _("Sign in, or send a valid API token as Authorization: Bearer.")


class Forbidden(Problem):
    """The caller is known, but its role does not allow the request."""

    status = 403
    code = "forbidden"
    detail = _("Your role does not allow this. Ask an owner or admin of your workspace.")


class Conflict(Problem):
    """The record's state does not allow the request; the detail says what to do instead."""

    status = 409
    code = "conflict"
    detail = _("This cannot be done now.")


class ChangedMeanwhile(Conflict):
    """Optimistic lock: the record changed after it was read. 412 for programs, a page for people."""

    status = 412
    code = "changed_meanwhile"
    detail = _(
        "Somebody else changed this in the meantime. Load it again, check it, then repeat your change."
    )


class RemovedMeanwhile(Conflict):
    """A record that the change refers to was removed at the same time; the database refused the change."""

    code = "removed_meanwhile"
    detail = _(
        "A record that this needs was removed in the meantime. Load the page again, then choose again."
    )


class Invalid(Problem):
    """Fields are invalid; `fields` says which and why."""

    status = 422
    code = "invalid"
    detail = _("Some fields are invalid.")


class BadRequest(Problem):
    """The request itself is malformed."""

    status = 400
    code = "bad_request"
    detail = _("The request is malformed. Go back, load the page again, then try once more.")


class MethodNotAllowed(Problem):
    """The URL exists, but not for this method."""

    status = 405
    code = "method_not_allowed"
    detail = _("This URL does not support this method.")


class StalePage(Problem):
    """The CSRF token does not match: the page is outdated, or cookies are off."""

    status = 403
    code = "stale_page"
    title = _("This page is too old")
    detail = _(
        "This page was open for too long, or the browser stores no cookies. Load the page again, then try "
        "once more."
    )


class LockedOut(Problem):
    """Too many wrong passwords for this name from this address."""

    status = 429
    code = "locked_out"
    detail = _("Too many wrong passwords. Wait 15 minutes, then try again.")


class Unavailable(Problem):
    """The database is unavailable."""

    status = 503
    code = "unavailable"
    detail = _(
        "The service is unavailable for a moment. What is live stays live. Try again in a few seconds."
    )
