"""Versions stand once: the program's own in pyproject.toml, and the Pythons that we claim, which everything else follows."""

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def python_of_make(name: str) -> str:
    return re.findall(rf"^{name} := (3\.\d+)$", MAKEFILE, re.MULTILINE)[0]


def test_the_pythons_that_we_claim_are_those_that_make_tests() -> None:
    oldest, newest = python_of_make("OLDEST"), python_of_make("NEWEST")
    after = f"3.{int(newest.removeprefix('3.')) + 1}"
    assert PYPROJECT["project"]["requires-python"] == f">={oldest},<{after}"
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert PYPROJECT["tool"]["mypy"]["python_version"] == oldest
    assert f"Python {oldest} to {newest} and `make` are all you need" in (ROOT / "README.md").read_text(encoding="utf-8")
    images = re.findall(r"^FROM python:(3\.\d+)\.\d+-", (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(images) == {newest}


def test_the_lock_names_the_public_index_and_the_same_pythons() -> None:
    lock = (ROOT / "uv.lock").read_text(encoding="utf-8")
    assert tomllib.loads(lock)["requires-python"].replace(" ", "") == PYPROJECT["project"]["requires-python"]
    assert set(re.findall(r'registry = "([^"]+)"', lock)) == {"https://pypi.org/simple"}
    assert set(re.findall(r'url = "https?://([^/"]+)', lock)) == {"files.pythonhosted.org"}
