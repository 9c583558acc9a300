"""The pages of clusters."""

from django.urls import path

from publishes import cluster_pages

app_name = "clusters"
urlpatterns = [
    path("", cluster_pages.index, name="list"),
    path("/live", cluster_pages.index_live, name="list-live"),
    path("/<uuid:cluster_id>", cluster_pages.detail, name="detail"),
    path("/<uuid:cluster_id>/live", cluster_pages.detail_live, name="detail-live"),
]
