"""Refusals of this app: each says what is wrong and what to do."""

from django.utils.translation import gettext_lazy as _

from core.problems import Conflict


class WrongProductState(Conflict):
    """The product's status does not allow it; the detail says why."""

    code = "wrong_state"


class ProductIsArchived(Conflict):
    """An archived product is read-only, for good."""

    code = "product_archived"
    detail = _("An archived product is read-only. Make a new product instead.")


class ServiceNeeded(Conflict):
    """An active product has at least one service."""

    code = "service_needed"
    detail = _("Link at least one API service to the product first.")


class StillDeployed(Conflict):
    """Something of it is live, or on its way."""

    code = "still_deployed"
    detail = _("It is still deployed: %(uses)s. Withdraw that first.")


class InUse(Conflict):
    """Something else needs it; the detail names what."""

    code = "in_use"
