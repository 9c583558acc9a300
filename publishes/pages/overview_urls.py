"""The pages of publishes across products."""

from django.urls import path

from publishes.pages import overview_views

app_name = "overview"
urlpatterns = [
    path("", overview_views.index, name="list"),
    path("/board", overview_views.board, name="board"),
    path("/<uuid:publish_id>", overview_views.publish, name="publish"),
]
