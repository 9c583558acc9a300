"""Refusals of this app."""

from core.problems import Conflict


class GatewayInUse(Conflict):
    """Publishes stand on it; the detail names them."""

    code = "in_use"
