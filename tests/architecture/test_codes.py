"""Every code that a refusal can carry stands in the one table of docs/api.md, with its status."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from django.urls import get_resolver

from core.problems import Problem

ROOT = Path(__file__).resolve().parents[2]
APPS = ("clusters", "config", "core", "gateways", "products", "publishes", "tenants")
PROBLEMS = {"BadRequest", "Conflict", "Forbidden", "Invalid", "NotFound", "Problem", "Unauthenticated"}


def of_classes(base: type[Problem]) -> Iterator[tuple[str, int]]:
    """The code and status of each kind of refusal."""
    yield base.code, base.status
    for kind in base.__subclasses__():
        yield from of_classes(kind)


def codes_in_calls() -> Iterator[str]:
    """Codes that are passed to one of the general kinds, as in `Invalid(..., code="malformed")`."""
    for path in (path for app in APPS for path in (ROOT / app).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in PROBLEMS:
                yield from (
                    str(keyword.value.value)
                    for keyword in node.keywords
                    if keyword.arg == "code" and isinstance(keyword.value, ast.Constant)
                )


def documented_codes() -> dict[str, int]:
    rows = re.findall(r"^\| (`[^|]+`) \| (\d{3}) \|", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    return {code: int(status) for codes, status in rows for code in re.findall(r"`(\w+)`", codes)}


def test_the_table_names_each_code_and_no_other() -> None:
    assert get_resolver().url_patterns  # all doors, and so all kinds of refusals, are loaded
    table, kinds = documented_codes(), dict(of_classes(Problem))
    kinds.pop("declaration_refused", None)  # of the command apply, which says it in words
    codes = set(kinds) | set(codes_in_calls())
    assert codes - set(table) == set(), "These codes are missing in the table of docs/api.md."
    assert set(table) - codes == set(), "These codes of docs/api.md are no more."
    assert {code: table[code] for code in kinds} == kinds
