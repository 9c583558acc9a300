"""Rules that no linter knows: who writes states, who uses the broker, and how long modules are."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APPS = (
    "agent",
    "clusters",
    "config",
    "core",
    "demo",
    "fence",
    "gateways",
    "products",
    "publishes",
    "tenants",
)
SOURCES = sorted(
    path for app in APPS for path in (ROOT / app).rglob("*.py") if "migrations" not in path.parts
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield name_of(path), node


def places(pattern: str, *, under: str = "") -> set[str]:
    return {
        name_of(path)
        for path in SOURCES
        if name_of(path).startswith(under) and re.search(pattern, path.read_text())
    }


def writes_of(field: str) -> set[str]:
    """Modules that assign `.field`, or pass `field=` or `"field"` to update, create or a constructor."""
    modules = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if _assigns(node, field) or _passes(node, field) or _names(node, field):
                modules.add(name_of(path))
    return modules


def _assigns(node: ast.AST, field: str) -> bool:
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AugAssign | ast.AnnAssign)
        else []
    )
    flat = [
        part for target in targets for part in (target.elts if isinstance(target, ast.Tuple) else [target])
    ]
    return any(isinstance(part, ast.Attribute) and part.attr == field for part in flat)


def _passes(node: ast.AST, field: str) -> bool:
    if not isinstance(node, ast.Call) or not any(keyword.arg == field for keyword in node.keywords):
        return False
    function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return function in {
        "update",
        "create",
        "get_or_create",
        "update_or_create",
        "bulk_create",
        "ProductPublish",
        "Operation",
        "Delivery",
    }


def _names(node: ast.AST, field: str) -> bool:
    return isinstance(node, ast.Dict) and any(
        isinstance(key, ast.Constant) and key.value == field for key in node.keys
    )


def test_the_status_of_a_publish_is_written_in_lifecycle_alone() -> None:
    of_publishes = {place for place in writes_of("status") if place.startswith("publishes/")}
    assert of_publishes == {"publishes/engine/lifecycle.py"}


def test_phases_are_written_in_lifecycle_alone_and_moved_by_the_outbox_and_the_answers() -> None:
    assert writes_of("phase") == {"publishes/engine/lifecycle.py"}
    assert places(r"\badvance(_locked)?\(") == {
        "publishes/engine/lifecycle.py",
        "publishes/engine/outbox.py",
        "publishes/engine/answers.py",
    }


def test_what_is_desired_and_the_generation_are_written_in_the_outbox_alone() -> None:
    assert writes_of("desired_state") == {"publishes/engine/outbox.py"}


def test_only_the_outbox_waits_for_commits_and_talks_to_the_broker() -> None:
    assert places(r"\bon_commit\b") == {"publishes/engine/outbox.py"}
    assert places(r"\.(send_task|apply_async|delay)\(") == {"publishes/engine/outbox.py"}
    assert places(r"\bkombu\b|\bredis\.", under="publishes/") == {"publishes/engine/outbox.py"}


def test_there_is_one_way_out_of_the_control_plane() -> None:
    control_plane = ("clusters", "config", "core", "gateways", "products", "publishes", "tenants")
    clients = places(r"(?m)^(import|from) (httpx2|http\.client|urllib\.request|requests|socket)\b")
    assert {place for place in clients if place.startswith(control_plane)} == {"core/security/outbound.py"}


def test_of_the_agent_the_control_plane_knows_the_protocol_alone() -> None:
    importers = places(r"(?m)^(from|import) agent(?!\.protocol)\b")
    assert {place for place in importers if not place.startswith(("agent/", "demo/"))} == set()


def test_no_function_is_longer_than_40_lines() -> None:
    assert [
        f"{place}:{node.name}" for place, node in functions() if (node.end_lineno or 0) - node.lineno + 1 > 40
    ] == []


def test_no_function_imports() -> None:
    inside = [
        f"{place}:{node.name}"
        for place, node in functions()
        if any(isinstance(part, ast.Import | ast.ImportFrom) for part in ast.walk(node))
    ]
    assert inside == []


def test_no_module_is_longer_than_300_lines() -> None:
    assert [name_of(path) for path in SOURCES if len(path.read_text().splitlines()) > 300] == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_module_opens_with_what_it_is_for(path: Path) -> None:
    text = path.read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text))


def test_no_signals() -> None:
    assert (
        places(r"\bfrom django\.(db\.models|dispatch)[\w.]* import .*\b(receiver|post_save|pre_save)\b")
        == set()
    )
