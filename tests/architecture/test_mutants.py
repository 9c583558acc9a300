"""The planted bugs fit the code: each can be planted, has tests to notice it, and breaks its own rule."""

from pathlib import Path

import pytest

from tests.mutants.table import CannotPlant, Mutant, load

ROOT = Path(__file__).resolve().parents[2]
MUTANTS = load()


def name_of(mutant: Mutant) -> str:
    return mutant.name


@pytest.mark.parametrize("mutant", MUTANTS, ids=name_of)
def test_every_bug_can_be_planted_and_has_tests_that_are_there(mutant: Mutant) -> None:
    planted = mutant.planted_in((ROOT / mutant.file).read_text(encoding="utf-8"))
    if mutant.file.endswith(".py"):
        compile(planted, mutant.file, "exec")
    assert [test for test in mutant.tests if not (ROOT / test).is_file()] == []


def test_there_are_at_least_sixty_each_with_a_name_and_a_rule_of_its_own() -> None:
    assert len(MUTANTS) >= 60
    assert (
        len({mutant.name for mutant in MUTANTS}) == len({mutant.rule for mutant in MUTANTS}) == len(MUTANTS)
    )


@pytest.mark.parametrize("text", ["a = 2", "a = 1; a = 1", ""], ids=["not there", "twice", "empty"])
def test_a_bug_whose_text_does_not_stand_there_once_is_an_error_and_no_catch(text: str) -> None:
    mutant = Mutant(part="p", name="n", rule="r", file="f", old="a = 1", new="a = 3", tests=())
    with pytest.raises(CannotPlant):
        mutant.planted_in(text)


def test_of_the_page_every_line_is_a_bug_of_the_table() -> None:
    page = (ROOT / "docs" / "mutants.md").read_text(encoding="utf-8")
    assert [mutant.name for mutant in MUTANTS if f"| {mutant.rule} | `{mutant.file}` | " not in page] == []
