"""Pages of API services."""

from django.urls import path

from products.pages import import_views
from products.pages import service_views as views

app_name = "services"
urlpatterns = [
    path("", views.index, name="list"),
    path("/new", views.create, name="create"),
    path("/import", import_views.create, name="import"),
    path("/<uuid:service_id>", views.detail, name="detail"),
    path("/<uuid:service_id>/edit", views.edit, name="edit"),
    path("/<uuid:service_id>/import", import_views.change, name="reimport"),
    path("/<uuid:service_id>/delete", views.delete, name="delete"),
]
