"""Services of products. Every door calls them; each checks role, tenant and state."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from core.problems import Invalid
from core.records import refuse_if_changed, save_edit
from core.usage import Hold, names_of, uses_holding, uses_of
from products import errors
from products.models import ApiService, Product, ProductService
from tenants.actors import Actor


@dataclass(frozen=True, kw_only=True)
class ProductFields:
    """The checked fields of a product."""

    name: str
    version: str
    description: str = ""
    categories: tuple[str, ...] = ()
    docs_url: str = ""
    logo_url: str = ""

    def as_columns(self) -> dict[str, object]:
        """For the model."""
        return asdict(self) | {"categories": list(self.categories)}


@transaction.atomic
def create_product(actor: Actor, *, fields: ProductFields, service_ids: Collection[UUID] = ()) -> Product:
    """Create a draft, with linked services."""
    actor.require_write()
    product = Product.objects.create(tenant_id=actor.tenant_id, **fields.as_columns())
    _link(actor, product, service_ids)
    return product


@transaction.atomic
def update_product(
    actor: Actor,
    product_id: UUID,
    *,
    fields: ProductFields,
    service_ids: Collection[UUID] | None = None,
    revision: int | None = None,
) -> Product:
    """Change a product, and its services if `service_ids` is not None. Raises ProductIsArchived.

    Optimistic lock: raises ChangedMeanwhile when `revision` is not the current one (None: any).
    """
    product = lock_product(actor, product_id)
    refuse_if_changed(product, revision=revision)
    _refuse_archived(product)
    columns = fields.as_columns()
    for name, value in columns.items():
        setattr(product, name, value)
    save_edit(product, columns=[*columns])
    if service_ids is not None:
        _link(actor, product, service_ids)
    return product


@transaction.atomic
def link_services(
    actor: Actor, product_id: UUID, *, service_ids: Collection[UUID], revision: int | None = None
) -> Product:
    """Link exactly these services. Live publishes change only when published again."""
    product = lock_product(actor, product_id)
    refuse_if_changed(product, revision=revision)
    _refuse_archived(product)
    if _link(actor, product, service_ids):
        save_edit(product)
    return product


@transaction.atomic
def activate(actor: Actor, product_id: UUID) -> Product:
    """Make a draft active, so that it can be published. Raises ServiceNeeded without a service."""
    product = lock_product(actor, product_id)
    _require(product, Product.Status.DRAFT, _("Only a draft can be activated."))
    if not product.links.exists():
        raise errors.ServiceNeeded
    return _become(product, Product.Status.ACTIVE)


@transaction.atomic
def deactivate(actor: Actor, product_id: UUID) -> Product:
    """Make an active product a draft again. Raises StillDeployed while a publish is live or going live."""
    product = lock_product(actor, product_id)
    _require(product, Product.Status.ACTIVE, _("Only an active product can be deactivated."))
    if live_uses := uses_holding(product, Hold.LIVE):
        raise errors.StillDeployed(errors.StillDeployed.detail % {"uses": names_of(live_uses)})
    return _become(product, Product.Status.DRAFT)


@transaction.atomic
def archive(actor: Actor, product_id: UUID) -> Product:
    """Archive an active product for good. Live publishes stay live, and can only be withdrawn."""
    product = lock_product(actor, product_id)
    _require(
        product, Product.Status.ACTIVE, _("Only an active product can be archived. A draft can be deleted.")
    )
    return _become(product, Product.Status.ARCHIVED)


@transaction.atomic
def delete_product(actor: Actor, product_id: UUID) -> None:
    """Delete a draft that never had a publish. Raises InUse."""
    product = lock_product(actor, product_id)
    _require(
        product,
        Product.Status.DRAFT,
        _("Only a draft can be deleted. Deactivate the product first, or archive it."),
    )
    uses = uses_of(product)
    if current_uses := [use for use in uses if use.hold != Hold.HISTORY]:
        raise errors.InUse(
            _("It still has publishes: %(uses)s. Delete those first.") % {"uses": names_of(current_uses)}
        )
    if uses:
        raise errors.InUse(
            _("It was published before, and its history is kept. Activate it and archive it instead.")
        )
    product.delete()


def lock_product(actor: Actor, product_id: UUID) -> Product:
    """The product, locked until the transaction ends, for a writer. Raises NotFound, then Forbidden."""
    return Product.objects.lock_for(actor, product_id)


def _link(actor: Actor, product: Product, service_ids: Collection[UUID]) -> bool:
    """Link exactly these services; returns whether they changed.

    Raises Invalid for a missing service, and ServiceNeeded when an active product would have none.
    """
    requested_ids, linked_ids = set(service_ids), set(product.links.values_list("service_id", flat=True))
    if requested_ids == linked_ids:
        return False
    if not requested_ids and product.status == Product.Status.ACTIVE:
        raise errors.ServiceNeeded(
            _(
                "An active product needs at least one API service. Link another one first, or deactivate the "
                "product."
            )
        )
    rows = ApiService.objects.visible_to(actor).filter(pk__in=requested_ids).order_by("pk")
    locked = rows.select_for_update(no_key=True)  # a concurrent deletion waits, and is then refused
    existing_ids = {service.pk for service in locked}
    if requested_ids - existing_ids:
        raise Invalid(
            fields={"api_services": [_("One of these API services no longer exists. Load the page again.")]}
        )
    product.links.filter(service_id__in=linked_ids - requested_ids).delete()
    ProductService.objects.bulk_create(
        ProductService(tenant_id=product.tenant_id, product=product, service_id=new)
        for new in requested_ids - linked_ids
    )
    return True


def _refuse_archived(product: Product) -> None:
    if product.status == Product.Status.ARCHIVED:
        raise errors.ProductIsArchived


def _require(product: Product, status: Product.Status, otherwise: object) -> None:
    if product.status == Product.Status.ARCHIVED:
        raise errors.ProductIsArchived
    if product.status != status:
        raise errors.WrongProductState(str(otherwise))


def _become(product: Product, status: Product.Status) -> Product:
    product.status = status
    product.save(update_fields=["status", "updated_at"])
    return product
