"""Database errors as refusals: unavailable, contended, too slow, or a row removed meanwhile."""

import structlog
from django.db import IntegrityError, InterfaceError, OperationalError
from django.utils.translation import gettext_lazy as _
from psycopg.errors import (
    DeadlockDetected,
    ForeignKeyViolation,
    LockNotAvailable,
    QueryCanceled,
    SerializationFailure,
)

from core.problems import Problem, RemovedMeanwhile, Unavailable

log = structlog.get_logger(__name__)


class Contended(Problem):
    """Another transaction changed the same rows and won."""

    status = 503
    code = "contended"
    detail = _(
        "Others are changing the same records right now. Nothing was done. Try again in a few seconds."
    )

    def __init__(self) -> None:
        super().__init__()
        self.headers = {"Retry-After": "1"}


class TookTooLong(Contended):
    """The database stopped a statement that ran for too long."""

    code = "took_too_long"
    detail = _("This took too long and was stopped. Nothing was done. Try again, or ask for less at once.")


def is_contention(exception: BaseException) -> bool:
    """Whether a transaction lost to another one. It was rolled back, and may be tried once more."""
    lost = (DeadlockDetected, LockNotAvailable, SerializationFailure)
    return isinstance(exception, OperationalError) and isinstance(exception.__cause__, lost)


def of_database(exception: BaseException) -> Problem | None:
    """The refusal for a database error, which is also logged; None when the error is a bug."""
    if is_contention(exception):
        return _noted(Contended(), exception)
    if isinstance(exception, OperationalError) and isinstance(exception.__cause__, QueryCanceled):
        return _noted(TookTooLong(), exception)
    if isinstance(exception, OperationalError | InterfaceError):
        return _noted(Unavailable(), exception)
    if isinstance(exception, IntegrityError) and isinstance(exception.__cause__, ForeignKeyViolation):
        return _noted(RemovedMeanwhile(), exception)
    return None


def _noted(problem: Problem, exception: BaseException) -> Problem:
    log.error("database_refused", code=problem.code, exc_info=exception)
    return problem
