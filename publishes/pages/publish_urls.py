"""Pages and fragments of publishes, below their product as the brief has them."""

from django.urls import path

from publishes.pages import key_views, overview_views, publish_views, verb_views, wizard

app_name = "publishes"
urlpatterns = [
    path("<uuid:product_id>/publish", wizard.create, name="create"),
    path("<uuid:product_id>/publish/settings/hostname", wizard.hostname, name="create-hostname"),
    path("<uuid:product_id>/publish/confirm/checks", wizard.checks, name="create-checks"),
    path("<uuid:product_id>/publish/<str:step>", wizard.create, name="create-step"),
    path("<uuid:product_id>/publishes", publish_views.board, name="board"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>", publish_views.detail, name="detail"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>/settings", publish_views.edit, name="edit"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>/live", publish_views.status, name="live"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>/agents", publish_views.agents, name="agents"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>/command", publish_views.command, name="command"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>/services", publish_views.carried, name="services"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>/history", publish_views.history, name="history"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>/compare", overview_views.compare, name="compare"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>/execute", verb_views.execute, name="execute"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>/withdraw", verb_views.withdraw, name="withdraw"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>/delete", verb_views.delete, name="delete"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>/cancel", verb_views.cancel, name="cancel"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>/retry", verb_views.retry, name="retry"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>/test-key", key_views.make, name="make-key"),
    path("<uuid:product_id>/publishes/<uuid:publish_id>/keys/reached", key_views.proofs, name="reached"),
    path(
        "<uuid:product_id>/publishes/<uuid:publish_id>/keys/<uuid:credential_id>/off",
        key_views.switch_off,
        name="switch-key-off",
    ),
]
