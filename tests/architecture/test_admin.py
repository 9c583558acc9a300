"""The operators' admin is a door: it writes by services, and everything else is read-only."""

import ast
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.test import RequestFactory

from core.admin import ReadOnlyAdmin, ServiceAdmin
from tenants.models import User

ROOT = Path(__file__).resolve().parents[2]
WRITES = ("save_model", "save_related", "save_formset", "delete_model", "delete_queryset")
BY_HAND = {
    "save",
    "create",
    "get_or_create",
    "update_or_create",
    "bulk_create",
    "bulk_update",
    "update",
    "delete",
    "set",
    "add",
    "remove",
}
ADMINS = sorted(admin.site._registry.items(), key=lambda pair: pair[0]._meta.label)


@pytest.fixture
def request_of_anybody(rf: RequestFactory) -> HttpRequest:
    """A request of somebody who has every right there is."""
    request = rf.get("/admin/")
    request.user = User(is_superuser=True, is_staff=True)
    return request


def may_write(its: Any, request: HttpRequest) -> bool:
    may_add = (
        its.has_add_permission(request, None)
        if hasattr(its, "parent_model")
        else its.has_add_permission(request)
    )
    return bool(may_add or its.has_change_permission(request) or its.has_delete_permission(request))


@pytest.mark.parametrize(
    ("model", "its"), ADMINS, ids=lambda value: value._meta.label if hasattr(value, "_meta") else ""
)
def test_an_admin_writes_through_a_service_or_not_at_all(
    model: type[Model], its: admin.ModelAdmin[Any], request_of_anybody: HttpRequest
) -> None:
    if isinstance(its, ServiceAdmin):
        own = [name for name in WRITES if getattr(type(its), name) is not getattr(ServiceAdmin, name)]
        assert own == [], (
            f"{type(its).__name__} writes by itself. Call a service in `write` and `remove` instead."
        )
    else:
        assert isinstance(its, ReadOnlyAdmin), (
            f"{type(its).__name__} is neither a ReadOnlyAdmin nor a ServiceAdmin."
        )
        assert not may_write(its, request_of_anybody)
    inlines = [
        type(row).__name__
        for row in its.get_inline_instances(request_of_anybody)
        if may_write(row, request_of_anybody)
    ]
    assert inlines == [], (
        "Rows of another model are to look at: they are changed where their service is called."
    )
    assert list(its.list_editable) == []


def test_no_admin_module_writes_rows_by_hand() -> None:
    writes = {
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in ROOT.glob("*/admin.py")
        if path.parent.name != "core"  # whose bases pass everything on
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in BY_HAND
    }
    assert writes == set()
