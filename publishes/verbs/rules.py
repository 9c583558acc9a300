"""What every verb checks before it begins: the role, the tenant, the state, the words."""

from uuid import UUID

from django.utils.translation import gettext_lazy as _

from clusters.models import Cluster, open_to
from core.problems import Invalid
from products.models import Product
from publishes import errors
from publishes.choices import OPEN_PHASES, PEOPLES_KINDS
from publishes.models import ProductPublish


def refuse_if_open(publish: ProductPublish) -> None:
    """Raises AlreadyInProgress while a person's operation is open, Frozen while an agent is ahead."""
    if publish.frozen_at is not None:
        raise errors.Frozen
    if publish.operations.filter(kind__in=PEOPLES_KINDS, phase__in=OPEN_PHASES).exists():
        raise errors.AlreadyInProgress


def require_active(product: Product) -> None:
    """Raises ProductNotActive."""
    if product.status == Product.Status.ARCHIVED:
        raise errors.ProductNotActive(_("The product is archived, so this is not published any more."))
    if product.status != Product.Status.ACTIVE:
        raise errors.ProductNotActive


def checked_note(note: str) -> str:
    """A note of at most 500 characters. Raises Invalid."""
    text = _checked_text("note", note)
    if len(text) > 500:
        raise Invalid(fields={"note": [_("Use 500 characters at most.")]})
    return text


def checked_reason(reason: str) -> str:
    """A withdrawal's reason, 1 to 500 characters. Raises Invalid."""
    text = _checked_text("reason", reason)
    if not 1 <= len(text) <= 500:
        raise Invalid(fields={"reason": [_("Say why, in 1 to 500 characters.")]})
    return text


def _checked_text(field: str, text: str) -> str:
    # PostgreSQL holds neither NUL nor half of a surrogate pair.
    if "\x00" in text or any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise Invalid(fields={field: [_("The text has characters that cannot be stored.")]})
    return text.strip()


def require_open(cluster: Cluster, tenant_id: UUID) -> None:
    """Raises ClusterClosed when operators have closed the cluster to the tenant."""
    if not Cluster.objects.filter(open_to(tenant_id), pk=cluster.pk).exists():
        raise errors.ClusterClosed
