"""No app names a URL of an app above it: the order of the apps holds for URL names as it does for imports."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from config.api import api
from tests.architecture.test_rules import ROOT, SOURCES, name_of

NAMED_BY = {"reverse", "reverse_lazy", "redirect", "resolve_url"}
"""The calls whose argument is a URL name also without a namespace."""


def levels() -> dict[str, int]:
    """The height of each app, by the import contract in pyproject.toml; 0 is the top."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if "demo" in contract.get("layers", ()))
    return {app.strip(): level for level, layer in enumerate(layers) for app in layer.split("|")}


LEVELS = levels()


def owners() -> dict[str, str]:
    """The app of each URL name, such as `products:list`."""
    app_by_name = dict(_walk(get_resolver(), "", "config"))
    for _prefix, router in api._routers:
        for view in router.path_operations.values():
            for operation in view.operations:
                function = operation.view_func
                app_by_name[f"{api.urls_namespace}:{function.__name__}"] = _app(function.__module__)
    return app_by_name


def _walk(resolver: URLResolver, namespace: str, above: str) -> Iterator[tuple[str, str]]:
    module = getattr(resolver.urlconf_module, "__name__", above)
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{pattern.namespace}:" if pattern.namespace else ""
            yield from _walk(pattern, namespace + inner, module)
        elif isinstance(pattern, URLPattern) and pattern.name:
            is_root = _app(module) == "config"
            yield f"{namespace}{pattern.name}", _app(pattern.callback.__module__ if is_root else module)


def _app(module: str) -> str:
    return module.partition(".")[0]


OWNERS = owners()


def names_in(source: str) -> set[str]:
    """The URL names in the source: texts with a namespace anywhere, others in the calls that take a name."""
    tree = ast.parse(source)
    calls = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and _function_name(node) in NAMED_BY
    ]
    arguments = {text for call in calls for argument in call.args for text in _texts(argument)}
    qualified = {text for text in _texts(tree) if ":" in text}
    return {name for name in OWNERS if name in arguments | qualified or _is_begun(name, qualified)}


def _is_begun(name: str, texts: set[str]) -> bool:
    """Whether a text is the namespace of the name, as in f"products:{verb}"."""
    namespace, colon, _name = name.rpartition(":")
    return bool(colon) and f"{namespace}:" in texts


def _function_name(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _texts(tree: ast.AST) -> set[str]:
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {text for text in constants if isinstance(text, str)}


def above(app: str, names: set[str]) -> set[str]:
    """The names that belong to an app above this one, or beside it."""
    foreign = {name for name in names if OWNERS[name] != app and OWNERS[name] in LEVELS}
    return {name for name in foreign if LEVELS[OWNERS[name]] <= LEVELS[app]}


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if _app(name_of(path).replace("/", ".")) in LEVELS], ids=name_of
)
def test_no_app_names_a_url_of_an_app_above_it(path: Path) -> None:
    app = path.relative_to(ROOT).parts[0]
    assert above(app, names_in(path.read_text())) == set()


def test_each_kind_of_url_name_is_recognised() -> None:
    source = 'redirect("home"); reverse(f"products:{verb}"); LINK = "overview:list"; at("api:get_gateway")'
    names = names_in(source)
    assert {OWNERS[name] for name in names} == {"tenants", "products", "publishes", "gateways"}
    assert {"home", "overview:list", "api:get_gateway", "products:delete"} <= names
    assert above("core", names) == names
    assert above("gateways", names) == {"overview:list"}
