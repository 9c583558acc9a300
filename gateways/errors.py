"""Refusals of this app."""

from core.problems import Conflict


class GatewayInUse(Conflict):
    """Publishes use the gateway; the detail names them."""

    code = "in_use"
