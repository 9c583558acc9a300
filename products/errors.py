"""Refusals of this app."""

from django.utils.translation import gettext_lazy as _

from core.problems import Conflict


class WrongProductState(Conflict):
    """The product's status does not allow the request; the detail says why."""

    code = "wrong_state"


class ProductIsArchived(Conflict):
    """An archived product is read-only for good."""

    code = "product_archived"
    detail = _("An archived product is read-only. Create a new product instead.")


class ServiceNeeded(Conflict):
    """An active product needs at least one service."""

    code = "service_needed"
    detail = _("Link at least one API service to the product first.")


class StillDeployed(Conflict):
    """A publish of the product is live, or going live."""

    code = "still_deployed"
    detail = _("It is still deployed: %(uses)s. Withdraw it first.")


class InUse(Conflict):
    """Other records use the record; the detail names them."""

    code = "in_use"
