"""Pages of gateways."""

from django.urls import path

from gateways import views

app_name = "gateways"
urlpatterns = [
    path("", views.index, name="list"),
    path("/new", views.create, name="create"),
    path("/<uuid:gateway_id>", views.detail, name="detail"),
    path("/<uuid:gateway_id>/edit", views.edit, name="edit"),
    path("/<uuid:gateway_id>/delete", views.delete, name="delete"),
]
