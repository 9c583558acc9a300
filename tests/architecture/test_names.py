"""A name says what it stands for: the vague words of CONTRIBUTING.md name nothing in the code."""

import ast
import re
from collections.abc import Iterator

from tests.architecture.test_rules import APPS, ROOT

VAGUE = re.compile(
    "asked|found|given|gone|got|heard|held|here|it|kept|left|made|meant|one|said|seen|sent|stood|taken"
    "|them|there|things?|told|wanted|way|what|whom?|words?"
)
CODE = {*APPS, "bench", "tests"}


def names_of(node: ast.AST) -> Iterator[str]:
    """The names that a statement or expression gives: variables, arguments, functions, classes, aliases."""
    match node:
        case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
            yield name


def fields_of(tree: ast.AST) -> set[ast.AST]:
    """Names in the body of a class: columns and JSON fields, which are contracts."""
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    statements = [statement for node in classes for statement in node.body]
    targets = [
        target
        for statement in statements
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
    ]
    return set(targets)


def vague_names(source: str) -> list[tuple[int, str]]:
    """Lines and names of a source that a reader cannot understand."""
    tree = ast.parse(source)
    fields = fields_of(tree)
    return [
        (getattr(node, "lineno", 0), name)
        for node in ast.walk(tree)
        if node not in fields
        for name in names_of(node)
        if VAGUE.fullmatch(name.strip("_").lower())
    ]


def test_no_name_is_a_vague_word() -> None:
    paths = [path.relative_to(ROOT) for folder in sorted(CODE) for path in (ROOT / folder).rglob("*.py")]
    checked = [path for path in paths if "migrations" not in path.parts]
    assert len(checked) > 300
    vague = [
        f"{path}:{line} {name}"
        for path in checked
        for line, name in vague_names((ROOT / path).read_text(encoding="utf-8"))
    ]
    assert sorted(vague) == []


def test_variables_arguments_functions_classes_and_aliases_are_names_and_fields_are_contracts() -> None:
    source = """
import os as what
class Thing:
    taken: int = 0
    def told(self, _asked): ...
for one in []:
    (kept := one)
match 1:
    case found: ...
"""
    assert sorted(name for _line, name in vague_names(source)) == [
        *("Thing", "_asked", "found", "kept", "one", "told", "what"),
    ]
