"""App registration."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from core import usage


class PublishesConfig(AppConfig):
    """Publishes."""

    name = "publishes"
    verbose_name = _("Publishes")

    def ready(self) -> None:
        usage.answered_by("publishes.reading.facts.uses.uses_of")
