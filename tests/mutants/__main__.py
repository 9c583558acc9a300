"""Plants each bug and says which test noticed: `python -m tests.mutants [name …] [--write]`.

Exit code 0 when each was noticed but those that the table explains; 1 when one was not, or could not be planted.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

from tests.mutants.table import CannotPlant, Mutant, load
from tests.mutants.workshop import ROOT, CannotJudge, Verdict, Workshop, opened

DOCUMENT = ROOT / "docs" / "mutants.md"
FLOOR = 57
"""How many have to be noticed when all are planted."""

INTRODUCTION = """# Planted bugs

Each line is a bug that `make mutants` plants in a copy of the code, alone, and the first test that noticed. The bugs stand in
`tests/mutants`, a file for each part; the runner writes this page with `make mutants ARGS=--write`.
"""

Result = Verdict | CannotPlant | CannotJudge


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="the mutants or parts to plant; all when none is named")
    parser.add_argument("--write", action="store_true", help=f"write {DOCUMENT.name}; only with all mutants")
    arguments = parser.parse_args()
    chosen = [
        mutant
        for mutant in load()
        if not arguments.names or {mutant.name, mutant.part} & set(arguments.names)
    ]
    if not chosen or (arguments.write and arguments.names):
        parser.error("No mutant has such a name." if not chosen else "The page has all mutants or none.")
    seats = os.cpu_count() or 1
    with opened(seats=seats) as workshop:
        if not _pass_unmutated(workshop, chosen, seats=seats):
            return 1
        results = _judged(workshop, chosen, seats=seats)
    if arguments.write:
        DOCUMENT.write_text(_page(results), encoding="utf-8")
    return _exit_code(results, is_whole=not arguments.names)


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


def _judged(
    workshop: Workshop, mutants: Sequence[Mutant], *, seats: int
) -> list[tuple[Mutant, Result]]:
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
    word = "caught  " if result.caught_by else "SURVIVED"
    return f"{word} {result.seconds:5.0f} s  {mutant.name}  {result.caught_by}"


def _page(results: Sequence[tuple[Mutant, Result]]) -> str:
    caught = sum(_is_caught(result) for _mutant, result in results)
    lines = [INTRODUCTION, f"Planted: {len(results)}. Caught: {caught}.\n"]
    for part, rows in groupby(results, key=lambda row: row[0].part):
        lines += [f"## {part.replace('_', ' ').capitalize()}\n", "| the rule that it breaks | where | caught by |"]
        lines.append("|---|---|---|")
        lines += [f"| {mutant.rule} | `{mutant.file}` | {_noticed(result)} |" for mutant, result in rows]
        lines.append("")
    lines.append("## What no test can notice\n")
    explained = [f"- {mutant.rule} (`{mutant.file}`): {mutant.survives}" for mutant, _ in results if mutant.survives]
    return "\n".join([*lines, *(explained or ["Nothing."])]) + "\n"


def _noticed(result: Result) -> str:
    if not isinstance(result, Verdict):
        return "not planted"
    file, _, test = result.caught_by.partition("::")
    return f"`{Path(file).stem}`: {test.partition('[')[0]}" if test else result.caught_by or "no test"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
