"""The rules of products, and of API services with upstream and routes, the same for pages and API."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any, cast

from django import forms
from django.contrib.postgres.forms import SimpleArrayField
from django.core.validators import MaxValueValidator, MinLengthValidator, MinValueValidator, URLValidator
from django.utils.translation import gettext_lazy as _

from core.forms import (
    Rows,
    initial_values,
    refuse_unless_valid,
    rows_data,
    validate_plain_text,
    validate_text,
)
from products.catalogue import upstream_urls
from products.catalogue.api_services import NAME_TAKEN, RouteFields, ServiceFields
from products.catalogue.products import ProductFields
from products.models import METHODS, ApiService, Product, Route, validate_path
from tenants.actors import Actor

MAX_ROUTES = 200
MAX_CATEGORIES = 10
_NAME: list[Callable[[Any], None]] = [MinLengthValidator(2), validate_plain_text]
_WAIT = [MinValueValidator(1), MaxValueValidator(600_000)]


class WebAddress(forms.URLField):
    """A link for browsers: http or https only."""

    default_validators = [URLValidator(schemes=["http", "https"])]


class ProductForm(forms.ModelForm[Product]):
    """The fields of a product."""

    name = forms.CharField(max_length=100, validators=_NAME, label=_("Name"))
    version = forms.CharField(
        max_length=50,
        validators=[validate_plain_text],
        label=_("Version"),
        help_text=_("Such as 2.0 or 2.0.1."),
    )
    description = forms.CharField(
        required=False,
        max_length=2000,
        validators=[validate_text],
        widget=forms.Textarea(attrs={"rows": 3}),
        label=_("Description"),
    )
    categories = SimpleArrayField(
        forms.CharField(required=False, max_length=50, validators=[validate_plain_text]),
        required=False,
        error_messages={"item_invalid": _("Category %(nth)s:")},
        label=_("Categories"),
        help_text=_("Separated by commas, as in payments, finance."),
    )
    docs_url = WebAddress(required=False, max_length=200, assume_scheme="https", label=_("Documentation URL"))
    logo_url = WebAddress(required=False, max_length=200, assume_scheme="https", label=_("Logo URL"))

    class Meta:
        model = Product
        fields = ("name", "version", "description", "categories", "docs_url", "logo_url")

    def clean_version(self) -> str:
        version = str(self.cleaned_data["version"])
        has_v = version[:1] in {"v", "V"} and version[1:2].isdigit()  # pages add a v
        return version[1:] if has_v else version

    def clean_categories(self) -> list[str]:
        names = list(dict.fromkeys(name for name in self.cleaned_data["categories"] if name))
        if len(names) > MAX_CATEGORIES:
            raise forms.ValidationError(
                _("At most %(most)d categories.") % {"most": MAX_CATEGORIES}, code="too_many"
            )
        return names

    def product_fields(self) -> ProductFields:
        """The checked values. Raises Invalid with a reason per field."""
        refuse_unless_valid(self)
        cleaned = self.cleaned_data
        return ProductFields(**(cleaned | {"categories": tuple(cleaned["categories"])}))


def checked_product(changes: Mapping[str, Any], *, product: Product | None = None) -> ProductFields:
    """A program's product, checked like a page's. Omitted fields stay, or get the default. Raises Invalid."""
    current = initial_values(ProductForm(instance=product))
    return ProductForm(current | dict(changes), instance=product).product_fields()


class ServiceForm(forms.ModelForm[ApiService]):
    """An API service and its upstream; its routes are in `RouteRows`."""

    name = forms.CharField(max_length=100, validators=_NAME, label=_("Name"))
    version = forms.CharField(
        required=False, max_length=50, validators=[validate_plain_text], label=_("Version")
    )
    description = forms.CharField(
        required=False, max_length=500, validators=[validate_plain_text], label=_("Description")
    )
    status = forms.ChoiceField(
        choices=ApiService.Status,
        label=_("Status"),
        widget=forms.RadioSelect,
        initial=ApiService.Status.ACTIVE,
    )
    upstream_url = forms.CharField(
        max_length=500,
        label=_("Upstream URL"),
        help_text=_("The address of the service itself, as in http://billing-upstream:8080."),
    )
    connect_timeout_ms = forms.IntegerField(validators=_WAIT, label=_("Connect timeout (ms)"), initial=5_000)
    timeout_ms = forms.IntegerField(validators=_WAIT, label=_("Timeout (ms)"), initial=60_000)

    class Meta:
        model = ApiService
        fields = ("name", "version", "description", "status", "connect_timeout_ms", "timeout_ms")

    def __init__(self, actor: Actor, data: Any = None, *, service: ApiService | None = None) -> None:
        upstream = {"upstream_url": str(upstream_urls.UpstreamUrl.of(service))} if service else {}
        super().__init__(data, instance=copy(service), initial=upstream)  # a copy: checking writes into it
        self._actor = actor

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if ApiService.objects.visible_to(self._actor).filter(name=name).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError(str(NAME_TAKEN), code="taken")
        return name

    def clean_upstream_url(self) -> upstream_urls.UpstreamUrl:
        return upstream_urls.parse(str(self.cleaned_data["upstream_url"]))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("connect_timeout_ms", 0) > cleaned.get("timeout_ms", 600_000):
            self.add_error(
                "connect_timeout_ms", _("The connect timeout cannot be longer than the whole timeout.")
            )
        return cleaned


class RouteRow(forms.Form):
    """A route of a service. A blank row is ignored."""

    id = forms.UUIDField(required=False, widget=forms.HiddenInput)
    path = forms.CharField(max_length=500, label=_("Path"), validators=[validate_path])
    methods = forms.MultipleChoiceField(
        required=False,
        choices=[(name, name) for name in METHODS],
        widget=forms.CheckboxSelectMultiple,
        label=_("Methods"),
        help_text=_("None selected: all."),
    )
    strip_path = forms.BooleanField(required=False, label=_("Strip the path"))
    is_active = forms.BooleanField(required=False, initial=True, label=_("Active"))

    def clean_methods(self) -> list[str]:
        chosen = self.cleaned_data["methods"]
        return [name for name in METHODS if name in chosen]

    def route_fields(self) -> RouteFields:
        """The checked values."""
        return RouteFields(**(self.cleaned_data | {"methods": tuple(self.cleaned_data["methods"])}))


class RouteRows(Rows[RouteRow]):
    """The routes of a service in their order; no two may match the same request."""

    def clean(self) -> None:
        checked: list[RouteFields] = []
        for row in self.filled():
            if not row.is_valid():
                continue
            route = row.route_fields()
            if any(overlap(route, earlier) for earlier in checked):
                row.add_error(
                    "path", _("Another route has this path with one of these methods. Change one of them.")
                )
            checked.append(route)


def overlap(first: RouteFields, second: RouteFields) -> bool:
    """Whether both routes match the same request."""
    return first.path == second.path and (
        not first.methods or not second.methods or bool(set(first.methods) & set(second.methods))
    )


def route_rows(
    data: Any = None, *, initial: Sequence[Mapping[str, Any]] | None = None, extra: int = 0
) -> RouteRows:
    """The form's rows: as posted, or the initial ones."""
    rows = forms.formset_factory(
        RouteRow,
        formset=RouteRows,
        extra=extra,
        max_num=MAX_ROUTES,
        validate_max=True,
        absolute_max=MAX_ROUTES + 1,
    )
    return cast(
        RouteRows,
        rows(data, initial=[dict(row) for row in initial] if initial is not None else None, prefix="routes"),
    )


def initial_rows(service: ApiService) -> list[dict[str, Any]]:
    """A service's routes for the form. One query."""
    return [row_of(route) for route in service.routes.all()]


def row_of(route: Route) -> dict[str, Any]:
    """A route for the form."""
    return {
        "id": route.pk,
        "path": route.path,
        "methods": route.methods,
        "strip_path": route.strip_path,
        "is_active": route.status == Route.Status.ACTIVE,
    }


def service_fields(form: ServiceForm, rows: RouteRows) -> ServiceFields:
    """The checked values. Raises Invalid with the reasons per field, such as `routes.0.path`."""
    refuse_unless_valid(form, rows)
    cleaned = dict(form.cleaned_data)
    url: upstream_urls.UpstreamUrl = cleaned.pop("upstream_url")
    parts: dict[str, Any] = {
        "upstream_scheme": url.scheme,
        "upstream_host": url.host,
        "upstream_port": url.port,
        "upstream_path": url.path,
    }
    return ServiceFields(**cleaned, **parts, routes=tuple(row.route_fields() for row in rows.filled()))


def checked_service(
    actor: Actor, changes: Mapping[str, Any], *, service: ApiService | None = None
) -> ServiceFields:
    """A program's service with `routes`, checked like a page's. Omitted fields stay, or get the default.

    Raises Invalid.
    """
    current = initial_values(ServiceForm(actor, service=service))
    routes = changes.get("routes", initial_rows(service) if service else [])
    form = ServiceForm(
        actor, current | {name: value for name, value in changes.items() if name != "routes"}, service=service
    )
    rows = route_rows(rows_data("routes", routes, defaults={"is_active": True}))
    return service_fields(form, rows)
