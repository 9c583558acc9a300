"""Pages and fragments of publishes, below their product as the brief has them."""

from django.urls import path

from publishes import views

app_name = "publishes"
urlpatterns = [
    path("<uuid:product_id>/publish", views.create, name="create"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>", views.detail, name="detail"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>/settings", views.edit, name="edit"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>/live", views.live, name="live"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>/agents", views.agents, name="agents"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>/history", views.history, name="history"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>/execute", views.execute, name="execute"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>/withdraw", views.withdraw, name="withdraw"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>/delete", views.delete, name="delete"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>/retry", views.retry, name="retry"),
]
