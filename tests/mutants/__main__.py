"""Plants each bug and says which test noticed: `python -m tests.mutants [name …] [--write]`.

Exit code 0 when each was noticed, or the table explains why not; 1 otherwise, or when one cannot be planted.
"""

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

from tests.mutants.table import CannotPlant, Mutant, load
from tests.mutants.workshop import ROOT, CannotJudge, Verdict, Workshop, opened

DOCUMENT = ROOT / "docs" / "mutants.md"
FLOOR = 57
"""How many have to be noticed when all are planted."""

INTRODUCTION = """# Planted bugs

Each line is a bug that `make mutants` plants in a copy of the code, alone, and the first test that noticed.
The bugs stand in `tests/mutants`, a file for each part. `make mutants ARGS=--write` writes this page; with
names, only their lines anew.
"""
ROW = re.compile(r"^\| (.+) \| `[^`]+` \| (.+) \|$", re.MULTILINE)
NO_TEST, NOT_PLANTED = "no test", "not planted"

Result = Verdict | CannotPlant | CannotJudge


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="the mutants or parts to plant; all when none is named")
    parser.add_argument("--write", action="store_true", help=f"write the lines of these in {DOCUMENT.name}")
    arguments = parser.parse_args()
    names = set(arguments.names)
    chosen = [mutant for mutant in load() if not names or {mutant.name, mutant.part} & names]
    if not chosen or names - {name for mutant in chosen for name in (mutant.name, mutant.part)}:
        parser.error("There is no mutant and no part of such a name.")
    seats = os.cpu_count() or 1
    with opened(seats=seats) as workshop:
        if not _pass_unmutated(workshop, chosen, seats=seats):
            return 1
        results = _judged(workshop, chosen, seats=seats)
    if arguments.write:
        _write(results)
    return _exit_code(results, is_whole=not names)


def _pass_unmutated(workshop: Workshop, mutants: Sequence[Mutant], *, seats: int) -> bool:
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    shares = [share for share in (tests[seat::seats] for seat in range(seats)) if share]
    _say(f"{len(tests)} test files without a bug …")
    with ThreadPoolExecutor(max_workers=seats) as pool:
        for verdict in list(pool.map(workshop.judge_unmutated, shares)):
            if verdict.caught_by:
                _say(f"{verdict.output}\nNothing is proved by tests that fail without a bug.")
                return False
    return True


def _judged(workshop: Workshop, mutants: Sequence[Mutant], *, seats: int) -> list[tuple[Mutant, Result]]:
    def judge(mutant: Mutant) -> tuple[Mutant, Result]:
        result: Result
        try:
            result = workshop.judge(mutant)
        except (CannotPlant, CannotJudge) as problem:
            result = problem
        _say(_line(mutant, result))
        return mutant, result

    with ThreadPoolExecutor(max_workers=seats) as pool:
        return list(pool.map(judge, mutants))


def _exit_code(results: Sequence[tuple[Mutant, Result]], *, is_whole: bool) -> int:
    caught = sum(_is_caught(result) for _mutant, result in results)
    unlike = [mutant.name for mutant, result in results if _is_caught(result) == bool(mutant.survives)]
    _say(f"{caught} of {len(results)} caught.")
    if unlike:
        _say(f"Not as the table says: {', '.join(unlike)}.")
    return int(bool(unlike) or (is_whole and caught < FLOOR))


def _is_caught(result: Result) -> bool:
    return isinstance(result, Verdict) and bool(result.caught_by)


def _line(mutant: Mutant, result: Result) -> str:
    if not isinstance(result, Verdict):
        return f"ERROR     {mutant.name}: {result}"
    verdict = "caught  " if result.caught_by else "SURVIVED"
    return f"{verdict} {result.seconds:5.0f} s  {mutant.name}  {result.caught_by}"


def _write(results: Sequence[tuple[Mutant, Result]]) -> None:
    """Write the page; bugs that were not planted this time keep their lines."""
    before = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""
    noticed = dict(ROW.findall(before)) | {mutant.rule: _noticed(result) for mutant, result in results}
    DOCUMENT.write_text(_page(load(), noticed), encoding="utf-8")


def _page(mutants: Sequence[Mutant], noticed: Mapping[str, str]) -> str:
    verdicts = [noticed.get(mutant.rule, NOT_PLANTED) for mutant in mutants]
    missed, waiting = verdicts.count(NO_TEST), verdicts.count(NOT_PLANTED)
    caught = len(verdicts) - missed - waiting
    counts = f"In the table: {len(verdicts)}. Caught: {caught}. No test noticed: {missed}."
    lines = [INTRODUCTION, f"{counts} Not planted since their code changed: {waiting}.", ""]
    for part, rows in groupby(mutants, key=lambda mutant: mutant.part):
        lines += [
            f"## {part.replace('_', ' ').capitalize()}",
            "",
            "| the rule that it breaks | where | caught by |",
        ]
        lines.append("|---|---|---|")
        lines += [f"| {row.rule} | `{row.file}` | {noticed.get(row.rule, NOT_PLANTED)} |" for row in rows]
        lines.append("")
    explained = [
        f"- {mutant.rule} (`{mutant.file}`): {mutant.survives}" for mutant in mutants if mutant.survives
    ]
    return "\n".join([*lines, "## What no test can notice", "", *(explained or ["Nothing."])]) + "\n"


def _noticed(result: Result) -> str:
    if not isinstance(result, Verdict):
        return NOT_PLANTED
    file, _, test = result.caught_by.partition("::")
    return f"`{Path(file).stem}`: {test.partition('[')[0]}" if test else result.caught_by or NO_TEST


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
