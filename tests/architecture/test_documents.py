"""Documents name only what exists: links, anchors, files, `make` targets, and the glossary's words."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from markdown.extensions.toc import slugify

from tests.messages import in_catalogue

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
MADE_WHILE_RUNNING = ("site", "screenshots", "var")
NO_CODE = ("tests", "typings", "migrations")
FILE_ENDINGS = ("py", "lua", "md", "toml", "json", "lock", "html", "css", "po", "mo", "lmdb")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def prose_of(document: Path) -> str:
    return FENCE.sub("", document.read_text(encoding="utf-8"))


@cache
def anchors_of(document: Path) -> frozenset[str]:
    return frozenset(
        slugify(title, "-") for title in re.findall(r"^#+ (.+)$", prose_of(document), re.MULTILINE)
    )


def code_of(document: Path) -> Iterator[str]:
    """Each code span and each fenced block."""
    text = document.read_text(encoding="utf-8")
    yield from FENCE.findall(text)
    yield from re.findall(r"`([^`\n]+)`", FENCE.sub("", text))


def files_named_in(document: Path) -> Iterator[str]:
    """Code spans that are a path below one of our folders, such as `publishes/engine/outbox.py`."""
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} - set(MADE_WHILE_RUNNING)
    for span in re.findall(r"`([^`\n]+)`", prose_of(document)):
        if re.fullmatch(r"[\w.-]+(/[\w.-]*)+", span) and span.split("/")[0] in folders:
            yield span


def exists(name: str) -> bool:
    """Whether it is a file or folder, a module without its ending, or a name in a module."""
    path = ROOT / name
    return path.exists() or path.with_name(path.name + ".py").exists() or path.with_suffix(".py").exists()


@cache
def names_by_module() -> dict[str, frozenset[str]]:
    """Of each module of ours the names at its top, and those in its classes as `Class.name`."""
    packages = [path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name not in NO_CODE]
    paths = [
        path for package in packages for path in package.rglob("*.py") if path.parent.name not in NO_CODE
    ]
    modules = {path: path.relative_to(ROOT).with_suffix("").parts for path in paths}
    return {
        ".".join(part for part in parts if part != "__init__"): frozenset(
            names_in(ast.parse(path.read_text(encoding="utf-8")).body)
        )
        for path, parts in modules.items()
    }


def names_in(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (f"{node.name}.{name}" for name in names_in(node.body))
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def is_missing(name: str) -> bool:
    """Whether a dotted name (`outbox.claim`, `core.records.Edited`) names nothing in a module of ours."""
    parts = name.split(".")
    modules = names_by_module()
    candidates = {
        (module, ".".join(parts[end:]))
        for end in range(1, len(parts) + 1)
        for module in modules
        if f".{module}".endswith("." + ".".join(parts[:end]))
    }
    return bool(candidates) and not any(
        not attribute or attribute in modules[module] for module, attribute in candidates
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_leads_to_a_file_and_a_heading_of_ours(document: Path) -> None:
    broken = []
    for link in LINK.findall(prose_of(document)):
        file, _, anchor = link.partition("#")
        target = document.parent / file if file else document
        if "://" not in link and (not target.exists() or (anchor and anchor not in anchors_of(target))):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_file_that_a_document_names_is_there(document: Path) -> None:
    assert [name for name in files_named_in(document) if not exists(name)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_name_of_a_module_that_a_document_names_is_there(document: Path) -> None:
    dotted = (
        span.replace("/", ".")
        for span in re.findall(r"`(\w+(?:[./][A-Za-z_]\w*)*\.[A-Za-z_]\w*)`", prose_of(document))
    )
    names = (name for name in dotted if name.rpartition(".")[2] not in FILE_ENDINGS)
    assert [name for name in names if is_missing(name)] == []


def test_a_name_that_no_module_has_is_missing() -> None:
    names = ("outbox.claim", "core.records.Edited", "worker.Worker.submit", "example.com")
    assert [name for name in names if is_missing(name)] == []
    assert is_missing("outbox.no_such_function")
    assert is_missing("worker.Worker.no_such_method")


def test_every_make_target_that_a_document_names_is_one() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named_targets = {
        target
        for document in DOCUMENTS
        for code in code_of(document)
        for target in re.findall(r"\bmake ([a-z][a-z-]*)", code)
    }
    assert {"demo", "test", "check", "docs"} <= named_targets
    assert named_targets - targets == set()


def test_the_pages_are_built_without_a_complaint_and_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    build = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert build.returncode == 0, build.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    written = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    assert written <= {path.relative_to(tmp_path).with_suffix(".md") for path in pages}
    loaded = re.compile(r"<(?:link|script|img)\b[^>]*\b(?:href|src)=[\"'](?:https?:)?//[^\"']*")
    assert [match for path in pages for match in loaded.findall(path.read_text(encoding="utf-8"))] == []


def glossary_rows() -> list[tuple[str, str, str, str]]:
    """Each table row of the glossary: its section, the word, the Korean word ("-" for none), what it is."""
    sections = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").split("\n## ")
    rows = [(section.splitlines()[0], *cells) for section in sections for cells in ROW.findall(section)]
    return [row for row in rows if row[1] != "word"]


def test_the_glossary_has_each_word_once_and_in_order() -> None:
    assert len(glossary_rows()) > 60
    assert len({term.lower() for _, term, _, _ in glossary_rows()}) == len(glossary_rows())
    for section in {section for section, *_ in glossary_rows()}:
        within = [term.lower() for name, term, _, _ in glossary_rows() if name == section]
        assert within == sorted(within)


def test_the_korean_words_of_the_glossary_are_those_of_the_pages() -> None:
    pages = "\n".join(text for text, _fuzzy in in_catalogue("ko").values())
    assert [korean for _, _, korean, _ in glossary_rows() if korean != "-" and korean not in pages] == []
