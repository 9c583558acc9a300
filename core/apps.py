"""App registration."""

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.utils.translation import gettext_lazy as _

from core.security.checks import check_debug, check_secret_key


class CoreConfig(AppConfig):
    """Core."""

    name = "core"
    verbose_name = _("Core")

    def ready(self) -> None:
        """Register the checks of the settings."""
        for check in (check_secret_key, check_debug):
            register(check, Tags.security)
