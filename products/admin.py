"""Operators' view of products."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from products.models import ApiService, Product, ProductService, Route


class RouteInline(admin.TabularInline[Route, ApiService]):
    model = Route
    extra = 0


class ProductServiceInline(admin.TabularInline[ProductService, Product]):
    model = ProductService
    extra = 0
    autocomplete_fields = ["service"]


@admin.register(ApiService)
class ApiServiceAdmin(admin.ModelAdmin[ApiService]):
    list_display = ["name", "version", "tenant", "status", "upstream"]
    list_filter = ["status"]
    list_select_related = ["tenant"]
    search_fields = ["name"]
    inlines = [RouteInline]

    @admin.display(description=_("Upstream"))
    def upstream(self, service: ApiService) -> str:
        return service.upstream


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin[Product]):
    list_display = ["name", "version", "tenant", "status"]
    list_filter = ["status"]
    list_select_related = ["tenant"]
    search_fields = ["name"]
    inlines = [ProductServiceInline]


@admin.register(Route)
class RouteAdmin(admin.ModelAdmin[Route]):
    list_display = ["path", "methods", "service", "status"]
    list_select_related = ["service"]
    autocomplete_fields = ["service"]


@admin.register(ProductService)
class ProductServiceAdmin(admin.ModelAdmin[ProductService]):
    list_display = ["product", "service", "tenant"]
    list_select_related = ["product", "service", "tenant"]
    autocomplete_fields = ["product", "service"]
