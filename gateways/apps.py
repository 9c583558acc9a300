"""App registration."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class GatewaysConfig(AppConfig):
    """Gateways."""

    name = "gateways"
    verbose_name = _("Gateways")
