"""Pages of products."""

from django.urls import path

from products.pages import product_views

app_name = "products"
urlpatterns = [
    path("", product_views.index, name="list"),
    path("/new", product_views.create, name="create"),
    path("/<uuid:product_id>", product_views.detail, name="detail"),
    path("/<uuid:product_id>/edit", product_views.edit, name="edit"),
    path("/<uuid:product_id>/services", product_views.link, name="link"),
    path("/<uuid:product_id>/activate", product_views.activate, name="activate"),
    path("/<uuid:product_id>/deactivate", product_views.deactivate, name="deactivate"),
    path("/<uuid:product_id>/archive", product_views.archive, name="archive"),
    path("/<uuid:product_id>/delete", product_views.delete, name="delete"),
]
