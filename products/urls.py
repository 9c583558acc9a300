"""Pages of products."""

from django.urls import path

from products import views

app_name = "products"
urlpatterns = [
    path("", views.index, name="list"),
    path("/new", views.create, name="create"),
    path("/<uuid:product_id>", views.detail, name="detail"),
    path("/<uuid:product_id>/edit", views.edit, name="edit"),
    path("/<uuid:product_id>/services", views.link, name="link"),
    path("/<uuid:product_id>/activate", views.activate, name="activate"),
    path("/<uuid:product_id>/deactivate", views.deactivate, name="deactivate"),
    path("/<uuid:product_id>/archive", views.archive, name="archive"),
    path("/<uuid:product_id>/delete", views.delete, name="delete"),
]
