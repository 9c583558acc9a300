"""The pages of clusters."""

from django.urls import path

from publishes import cluster_pages

app_name = "clusters"
urlpatterns = [
    path("", cluster_pages.index, name="list"),
    path("/<uuid:cluster_id>", cluster_pages.detail, name="detail"),
]
