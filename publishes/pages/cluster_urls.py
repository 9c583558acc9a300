"""The pages of clusters."""

from django.urls import path

from publishes.pages import cluster_views

app_name = "clusters"
urlpatterns = [
    path("", cluster_views.index, name="list"),
    path("/live", cluster_views.index_part, name="list-live"),
    path("/<uuid:cluster_id>", cluster_views.detail, name="detail"),
    path("/<uuid:cluster_id>/live", cluster_views.detail_part, name="detail-live"),
]
