"""Templates and style sheets follow the apps: what a template may name, and how both are written."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "templates"
PAGES = sorted(TEMPLATES.rglob("*.html"))
SHEETS = sorted((ROOT / "static").rglob("*.css"))
LONGEST = 160

# Folders that are not named like an app: allauth and Django's admin choose the names of their templates.
OWNERS = {
    "frame": "config",
    "components": "core",
    "admin": "core",
    "account": "tenants",
    "mfa": "tenants",
    "socialaccount": "tenants",
    "ninja": "config",
    "429.html": "tenants",
}
REFERENCE = re.compile(r"\{% (include|extends) [\"']([^\"']+)[\"']")
LINKED = re.compile(r"\{% url [\"']([^\"']+)[\"']")


def _order() -> dict[str, int]:
    """How high each app stands, from the import contract; apps of one line stand side by side."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(c["layers"] for c in contracts if c["name"] == "Apps stand on each other in one order")
    return {app: height for height, line in enumerate(reversed(layers)) for app in line.split(" | ")}


ORDER = _order()


def name_of(path: Path) -> str:
    return str(path.relative_to(TEMPLATES))


def owner_of(template: str) -> str:
    folder = template.partition("/")[0]
    return OWNERS.get(folder, folder)


def may_name(lower: str, app: str) -> bool:
    return lower == app or ORDER[lower] < ORDER[app]


def _urls(resolver: URLResolver, namespace: str = "") -> Iterator[tuple[str, str]]:
    """The name of each URL, and the app that answers it. Ninja's own views belong to config."""
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from _urls(entry, f"{namespace}{entry.namespace}:" if entry.namespace else namespace)
        elif isinstance(entry, URLPattern) and entry.name:
            yield f"{namespace}{entry.name}", _app_of(entry.callback)


def _app_of(view: Any) -> str:
    package = str(getattr(view, "view_class", view).__module__).partition(".")[0]
    return {"ninja": "config", "functools": "config"}.get(package, package)


@pytest.fixture(scope="module")
def urls() -> dict[str, str]:
    return dict(_urls(get_resolver()))


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_a_template_belongs_to_an_app(path: Path) -> None:
    assert owner_of(name_of(path)) in ORDER


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_a_template_names_those_of_its_own_app_and_of_lower_ones(path: Path) -> None:
    """Templates of upper apps are reached by tags. Only the frame is extended from everywhere."""
    app = owner_of(name_of(path))
    above = [
        f"{how} {template}"
        for how, template in REFERENCE.findall(path.read_text())
        if not (how == "extends" and template.startswith("frame/")) and not may_name(owner_of(template), app)
    ]
    assert above == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_a_template_leads_to_pages_of_its_own_app_and_of_lower_ones(path: Path, urls: dict[str, str]) -> None:
    app = owner_of(name_of(path))
    linked = {name: urls[name] for name in LINKED.findall(path.read_text())}
    assert {name: to for name, to in linked.items() if to in ORDER and not may_name(to, app)} == {}


@pytest.mark.parametrize("path", [*PAGES, *SHEETS], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_line_is_longer_than_160_characters(path: Path) -> None:
    assert [n for n, line in enumerate(path.read_text().splitlines(), 1) if len(line) > LONGEST] == []


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_style_sheet_has_one_declaration_a_line(path: Path) -> None:
    """A line holds one declaration, one opening or closing brace, or a part of a value or selector."""
    plain = re.sub(r"/\*.*?\*/|\"[^\"]*\"", "", path.read_text(), flags=re.DOTALL)
    crowded = [line for line in plain.splitlines() if line.count(";") + line.count("{") + line.count("}") > 1]
    assert crowded == []
