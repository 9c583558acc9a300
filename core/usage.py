"""Whether a record is in use: lower apps ask, and the apps above register their answers at start."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from django.db.models import Model
from django.utils.module_loading import import_string


class Hold(StrEnum):
    """How a record is in use: by something live or going live, by something resting, or by history alone."""

    LIVE = "live"
    RESTING = "resting"
    HISTORY = "history"


@dataclass(frozen=True, kw_only=True)
class Use:
    """One user of a record. `url` is empty when it has no page; `cluster_id` says where, if that matters."""

    name: str
    hold: Hold
    url: str = ""
    cluster_id: UUID | None = None


Answer = Callable[[Model], list[Use]]
_answers: list[str] = []


def answered_by(function: str) -> None:
    """Register the function that lists an app's uses of a record, by dotted path.

    Called in `AppConfig.ready`.
    """
    if function not in _answers:
        _answers.append(function)


def uses_of(record: Model) -> list[Use]:
    """All uses of the record, the live ones first. The caller has checked that the record is visible."""
    uses = [use for path in _answers for use in _answer(path)(record)]
    return sorted(uses, key=lambda use: (list(Hold).index(use.hold), use.name))


def uses_holding(record: Model, *holds: Hold) -> list[Use]:
    """The uses of the record in one of these ways."""
    return [use for use in uses_of(record) if use.hold in holds]


def _answer(path: str) -> Answer:
    function: Answer = import_string(path)
    return function


def names_of(uses: list[Use], *, most: int = 3) -> str:
    """The names of uses for a sentence: `a, b, c …`."""
    joined = ", ".join(use.name for use in uses[:most])
    return f"{joined} …" if len(uses) > most else joined
