"""Bases of the operators' admin: read-only pages, pages that write by services, actions that ask first."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import structlog
from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename
from django.db import transaction
from django.db.models import Model
from django.db.models.query import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from core.models import Pulse
from core.problems import Conflict, Forbidden, Invalid, Problem, Text

log = structlog.get_logger(__name__)

M = TypeVar("M", bound=Model)
R = TypeVar("R", bound=Model)
A = TypeVar("A", bound=admin.ModelAdmin[Any])
Action = Callable[[A, HttpRequest, Any], HttpResponse | None]
REFUSALS = (Conflict, Forbidden, Invalid)
CONFIRMED = "confirmed"


class OperatedAdmin(admin.ModelAdmin[M]):
    """Actions need the right to change (`permissions=["operate"]`), also where no field can be changed."""

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.{get_permission_codename('change', self.opts)}")

    def each(self, request: HttpRequest, rows: QuerySet[R], do: Callable[[R], object]) -> None:
        """Call `do` for each row on its own, and show which rows were refused and why."""
        for row in rows:
            try:
                do(row)
            except Problem as refusal:
                self.message_user(request, f"{row}: {' '.join(_texts_of(refusal))}", messages.ERROR)
            except Exception:  # a bug in one row must not stop the other rows
                log.exception("bug", doing=do.__name__, row=str(row.pk))
                self.message_user(request, f"{row}: {Problem.detail}", messages.ERROR)


class _ReadOnly:
    """Nothing can be added, changed or deleted."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(_ReadOnly, OperatedAdmin[Any]):
    """Read-only: these rows are written by the system, or by the people who own them."""


class ReadOnlyInline(_ReadOnly, admin.TabularInline[Any, Any]):
    """Read-only rows that belong to the page's record."""

    extra = 0

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields or ()


class ServiceAdmin(OperatedAdmin[M]):
    """Every change goes through a service. A refusal is shown in the form, or above the list."""

    def write(self, request: HttpRequest, record: M, form: forms.ModelForm[M], *, is_new: bool) -> None:
        """Call the service that saves `record`, which already has the form's values."""
        raise NotImplementedError

    def remove(self, request: HttpRequest, record: M) -> None:
        """Call the service that deletes it."""
        raise NotImplementedError

    def save_model(self, request: HttpRequest, obj: M, form: Any, change: bool) -> None:
        self.write(request, obj, form, is_new=not change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The service has saved everything.

        Saving the read-only formsets only records that nothing changed.
        """
        for formset in formsets:
            formset.save()

    def delete_model(self, request: HttpRequest, obj: M) -> None:
        self.remove(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[M]) -> None:
        for record in queryset:
            self.remove(request, record)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The service decides what is deleted along with a record, so no further rights are required."""
        deleted, counts, _more_rights, protected = super().get_deleted_objects(objs, request)
        return deleted, counts, set(), protected

    def get_form(
        self,
        request: HttpRequest,
        obj: M | None = None,
        change: bool = False,
        **kwargs: Any,
    ) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        refusal = getattr(request, "refusal", None)
        return type(form.__name__, (_Refused, form), {"refusal": refusal}) if refusal else form

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> Any:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except REFUSALS as refusal:  # nothing was saved: show the form again, with the reason
            request.refusal = refusal  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        try:
            return super().delete_view(request, object_id, extra_context)
        except REFUSALS as refusal:
            self._show(request, refusal)
            return HttpResponseRedirect(
                reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[object_id])
            )

    def response_action(self, request: HttpRequest, queryset: QuerySet[M], *args: Any) -> HttpResponse | None:
        """An action is one transaction: refused, it changes nothing."""
        try:
            with transaction.atomic():
                return super().response_action(request, queryset, *args)
        except REFUSALS as refusal:
            self._show(request, refusal)
            return HttpResponseRedirect(request.get_full_path())

    def _show(self, request: HttpRequest, refusal: Problem) -> None:
        for text in _texts_of(refusal):
            self.message_user(request, text, messages.ERROR)


class _Refused(forms.BaseForm):
    """A form that shows the refusal of the service."""

    refusal: Problem

    def clean(self) -> Any:
        cleaned = super().clean()
        for name, texts in self.refusal.fields.items():
            self.add_error(name if name in self.fields else None, [str(text) for text in texts])
        if not self.refusal.fields:
            self.add_error(None, str(self.refusal.detail))
        return cleaned


def asks_first(question: Text, *, warning: Text) -> Callable[[Action[A]], Action[A]]:
    """Show a confirmation page before the action runs. For actions that are hard to undo."""

    def asking(action: Action[A]) -> Action[A]:
        @wraps(action)
        def ask_or_do(self: A, request: HttpRequest, queryset: Any) -> HttpResponse | None:
            if CONFIRMED in request.POST:
                return action(self, request, queryset)
            context = {
                "title": question,
                "warning": warning,
                "queryset": queryset,
                "action": action.__name__,
                "opts": self.opts,
                "media": self.media,
            }
            return TemplateResponse(
                request, "admin/ask_first.html", {**self.admin_site.each_context(request), **context}
            )

        return ask_or_do

    return asking


def _texts_of(refusal: Problem) -> list[str]:
    return [str(text) for texts in refusal.fields.values() for text in texts] or [str(refusal.detail)]


@admin.register(Pulse)
class PulseAdmin(ReadOnlyAdmin):
    list_display = ["name", "beat_at"]
