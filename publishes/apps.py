"""App registration; tells the lower apps how to ask whether a thing is in use."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PublishesConfig(AppConfig):
    """Publishes."""

    name = "publishes"
    verbose_name = _("Publishes")
