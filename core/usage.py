"""Is it in use? Asked by lower apps of whatever is above them; an app above answers by registering itself when it starts."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from django.db.models import Model
from django.utils.module_loading import import_string


class Hold(StrEnum):
    """How firmly a thing is held: by something live or going live, by something at rest, or by the history of what was deleted."""

    LIVE = "live"
    RESTING = "resting"
    HISTORY = "history"


@dataclass(frozen=True, kw_only=True)
class Use:
    """One thing that needs another one. `url` is empty for what has no page; `cluster_id` says where, if that matters."""

    name: str
    hold: Hold
    url: str = ""
    cluster_id: UUID | None = None


Answer = Callable[[Model], list[Use]]
_answers: list[str] = []


def answered_by(function: str) -> None:
    """Register a function by its dotted path: it says what of its app needs a given record. Called in `AppConfig.ready`."""
    if function not in _answers:
        _answers.append(function)


def uses_of(record: Model) -> list[Use]:
    """Everything that needs the record, what is live first. The caller has made sure that the record may be seen."""
    found = [use for path in _answers for use in _answer(path)(record)]
    return sorted(found, key=lambda use: (list(Hold).index(use.hold), use.name))


def held(record: Model, *holds: Hold) -> list[Use]:
    """Those uses that hold the record in one of these ways."""
    return [use for use in uses_of(record) if use.hold in holds]


def _answer(path: str) -> Answer:
    function: Answer = import_string(path)
    return function


def named(uses: list[Use], *, most: int = 3) -> str:
    """Their names for a sentence: `a, b, c …`."""
    names = ", ".join(use.name for use in uses[:most])
    return f"{names} …" if len(uses) > most else names
