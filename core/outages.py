"""What a database error means for whoever asked: it is away, it was busy with others, or something was taken away meanwhile."""

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
    """Others changed the same things at the same time, and the database let them."""

    status = 503
    code = "contended"
    detail = _(
        "Others are changing the same things right now. Nothing of this was done. Try again in a few seconds."
    )

    def __init__(self) -> None:
        super().__init__()
        self.headers = {"Retry-After": "1"}


class TookTooLong(Contended):
    """The database stopped a statement that ran for too long."""

    code = "took_too_long"
    detail = _(
        "This took too long and was stopped. Nothing of it was done. Try again, or ask for less at once."
    )


def is_contention(exception: BaseException) -> bool:
    """Whether a transaction lost to another one: rolled back as a whole, it may be tried once more."""
    lost = (DeadlockDetected, LockNotAvailable, SerializationFailure)
    return isinstance(exception, OperationalError) and isinstance(exception.__cause__, lost)


def of_database(exception: BaseException) -> Problem | None:
    """The refusal that a database error stands for, and a line in the log; None when it is a bug."""
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
