"""Bases for the operators' admin."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from core.models import Pulse


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Everything can be looked at, nothing added or changed: these rows are written by the system."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Pulse)
class PulseAdmin(ReadOnlyAdmin):
    list_display = ["name", "beat_at"]
