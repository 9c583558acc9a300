"""The budget of reading a document, and the refusal of a document."""

from time import monotonic

from django.utils.translation import gettext as _

from core.problems import Invalid, Text

MAX_VALUES = 300_000
MAX_CHARACTERS = 4_000_000
MAX_SECONDS = 10.0
_LOOKS_AT_CLOCK = 1_000


class DocumentRefused(Invalid):
    """The document is refused; each text says where and why."""

    code = "openapi"

    def __init__(self, *texts: Text) -> None:
        super().__init__(fields={"document": list(texts)})


class Budget:
    """Counts values and characters (aliases at each use), and checks the time every 1,000 values."""

    def __init__(self) -> None:
        self.values = 0
        self.characters = 0
        self._ends = monotonic() + MAX_SECONDS
        self._looks_next = 0

    def spend(self, values: int = 1, characters: int = 0) -> None:
        """Raises DocumentRefused once a bound is passed."""
        self.values += values
        self.characters += characters
        if self.values > MAX_VALUES or self.characters > MAX_CHARACTERS:
            raise DocumentRefused(
                _(
                    "The document has too many values, aliases included. "
                    "Remove examples and schemas; only servers and paths are read."
                )
            )
        if self.values >= self._looks_next:
            self._looks_next = self.values + _LOOKS_AT_CLOCK
            if monotonic() > self._ends:
                raise DocumentRefused(
                    _(
                        "Reading the document takes longer than %(seconds)d seconds. "
                        "Split the document, or remove examples and schemas."
                    )
                    % {"seconds": MAX_SECONDS}
                )
