"""Each version is written once: ours in pyproject.toml, and the supported Pythons."""

import re
import tomllib
from pathlib import Path
from typing import Any

from agent.protocol.version import PROGRAM_VERSION

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


OURS = (
    "agent",
    "clusters",
    "config",
    "core",
    "demo",
    "gateways",
    "products",
    "publishes",
    "tenants",
    "tests",
    "templates",
    "deploy",
)


def test_our_own_version_stands_in_one_place() -> None:
    version = PYPROJECT["project"]["version"]
    files = (
        path
        for folder in OURS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".html", ".yaml", ".sh"}
    )
    assert [
        str(path.relative_to(ROOT)) for path in files if f'"{version}"' in path.read_text(encoding="utf-8")
    ] == []
    assert version == PROGRAM_VERSION
    assert re.search(
        rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )


def python_of_make(name: str) -> str:
    stated = re.search(rf"^{name} := (3\.\d+)$", MAKEFILE, re.MULTILINE)
    assert stated
    return stated.group(1)


def test_the_pythons_that_we_claim_are_those_that_make_tests() -> None:
    oldest, newest = python_of_make("OLDEST"), python_of_make("NEWEST")
    after = f"3.{int(newest.removeprefix('3.')) + 1}"
    assert PYPROJECT["project"]["requires-python"] == f">={oldest},<{after}"
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert PYPROJECT["tool"]["mypy"]["python_version"] == oldest
    assert f"Python {oldest} to {newest} and `make` are all you need" in (ROOT / "README.md").read_text(
        encoding="utf-8"
    )
    images = re.findall(
        r"^FROM python:(3\.\d+)\.\d+-",
        (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert set(images) == {newest}


def test_the_lock_names_the_public_index_and_the_same_pythons() -> None:
    lock = (ROOT / "uv.lock").read_text(encoding="utf-8")
    assert tomllib.loads(lock)["requires-python"].replace(" ", "") == PYPROJECT["project"]["requires-python"]
    assert set(re.findall(r'registry = "([^"]+)"', lock)) == {"https://pypi.org/simple"}
    assert set(re.findall(r'url = "https?://([^/"]+)', lock)) == {"files.pythonhosted.org"}
