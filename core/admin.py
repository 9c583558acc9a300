"""Bases for the operators' admin."""

from typing import Any, TypeVar

from django.contrib import admin
from django.contrib.auth import get_permission_codename
from django.db.models import Model
from django.http import HttpRequest

from core.models import Pulse

M = TypeVar("M", bound=Model)


class OperatedAdmin(admin.ModelAdmin[M]):
    """Its actions declare `permissions=["operate"]`: they are for those with the right to change, also where no field can be changed."""

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.{get_permission_codename('change', self.opts)}")


class ReadOnlyAdmin(OperatedAdmin[Any]):
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
