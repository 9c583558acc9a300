"""App registration."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PublishesConfig(AppConfig):
    """Publishes."""

    name = "publishes"
    verbose_name = _("Publishes")
