"""Pages of products."""

from django.urls import path

from products import views

app_name = "products"
urlpatterns = [
    path("", views.index, name="list"),
    path("<uuid:product_id>", views.detail, name="detail"),
]
