"""The admin of products, read-only: they belong to the providers."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from core.admin import ReadOnlyAdmin, ReadOnlyInline
from products.models import ApiService, Product, ProductService, Route


class RouteInline(ReadOnlyInline):
    model = Route


class ProductServiceInline(ReadOnlyInline):
    model = ProductService
    fields = ["service"]


@admin.register(ApiService)
class ApiServiceAdmin(ReadOnlyAdmin):
    list_display = ["name", "version", "tenant", "status", "upstream"]
    list_filter = ["status"]
    list_select_related = ["tenant"]
    search_fields = ["name"]
    inlines = [RouteInline]

    @admin.display(description=_("Upstream"))
    def upstream(self, service: ApiService) -> str:
        return service.upstream


@admin.register(Product)
class ProductAdmin(ReadOnlyAdmin):
    list_display = ["name", "version", "tenant", "status"]
    list_filter = ["status"]
    list_select_related = ["tenant"]
    search_fields = ["name"]
    inlines = [ProductServiceInline]


@admin.register(Route)
class RouteAdmin(ReadOnlyAdmin):
    list_display = ["path", "methods", "service", "status"]
    list_select_related = ["service"]


@admin.register(ProductService)
class ProductServiceAdmin(ReadOnlyAdmin):
    list_display = ["product", "service", "tenant"]
    list_select_related = ["product", "service", "tenant"]
