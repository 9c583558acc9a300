"""What documents name is there: links, anchors, files, `make` targets, and the glossary's words."""

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


def is_there(name: str) -> bool:
    """Whether it is a file or folder, a module without its ending, or a name in a module."""
    path = ROOT / name
    return path.exists() or path.with_name(path.name + ".py").exists() or path.with_suffix(".py").exists()


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
    assert [name for name in files_named_in(document) if not is_there(name)] == []


def test_every_make_target_that_a_document_names_is_one() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        target
        for document in DOCUMENTS
        for code in code_of(document)
        for target in re.findall(r"\bmake ([a-z][a-z-]*)", code)
    }
    assert {"demo", "test", "check", "docs"} <= named
    assert named - targets == set()


def test_the_pages_are_built_without_a_complaint_and_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    written = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    assert written <= {path.relative_to(tmp_path).with_suffix(".md") for path in pages}
    loaded = re.compile(r"<(?:link|script|img)\b[^>]*\b(?:href|src)=[\"'](?:https?:)?//[^\"']*")
    assert [match for path in pages for match in loaded.findall(path.read_text(encoding="utf-8"))] == []


def words() -> list[tuple[str, str, str, str]]:
    """Each table row of the glossary: its section, the word, the Korean word ("-" for none), what it is."""
    sections = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").split("\n## ")
    rows = [(section.splitlines()[0], *cells) for section in sections for cells in ROW.findall(section)]
    return [row for row in rows if row[1] != "word"]


def test_the_glossary_has_each_word_once_and_in_order() -> None:
    assert len(words()) > 60
    assert len({word.lower() for _, word, _, _ in words()}) == len(words())
    for section in {section for section, *_ in words()}:
        within = [word.lower() for name, word, _, _ in words() if name == section]
        assert within == sorted(within)


def test_the_korean_words_of_the_glossary_are_those_of_the_pages() -> None:
    pages = "\n".join(text for text, _fuzzy in in_catalogue("ko").values())
    assert [korean for _, _, korean, _ in words() if korean != "-" and korean not in pages] == []
