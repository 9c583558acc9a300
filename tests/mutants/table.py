"""The mutants as data, and how one is planted. Each part of the system has a TOML file beside this module."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

TABLES = Path(__file__).parent


class CannotPlant(Exception):
    """The old text does not stand in the file exactly once, so that nothing would be planted or proved."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A bug: `old` in `file` becomes `new`, which breaks `rule`; `tests` are the files that ought to notice.

    `survives` says why no test can notice, where the change makes no difference; empty for all others.
    """

    part: str
    name: str
    rule: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    survives: str = ""

    def planted_in(self, text: str) -> str:
        """The text of the file with the bug. Raises CannotPlant."""
        times = text.count(self.old)
        if times != 1 or self.old == self.new:
            raise CannotPlant(f"{self.name}: its old text stands {times} times in {self.file}, not once.")
        return text.replace(self.old, self.new)


def load() -> list[Mutant]:
    """All mutants, part by part. Raises TypeError for a field that a mutant does not have, or lacks."""
    mutants = []
    for table in sorted(TABLES.glob("*.toml")):
        for name, fields in tomllib.loads(table.read_text(encoding="utf-8")).items():
            tests = tuple(fields.pop("tests"))
            mutants.append(Mutant(part=table.stem, name=name, tests=tests, **fields))
    return mutants
