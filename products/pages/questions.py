"""What may be asked about a product or an API service now, in words."""

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from core.pages.questions import Question
from core.usage import Hold, held, named
from products.models import ApiService, Product


def of_product(product: Product, *, services: int) -> list[Question]:
    """Activation and deletion of a draft; deactivation and archiving of what is active; nothing of what is archived. One query at most."""
    if product.status == Product.Status.DRAFT:
        return [_activate(product, services), _delete(product)]
    if product.status == Product.Status.ACTIVE:
        return [_deactivate(product), _archive(product)]
    return []


def of_service(service: ApiService) -> list[Question]:
    """Its deletion."""
    back = reverse("services:detail", args=[service.pk])
    return [
        Question(
            verb="delete",
            title=_("Delete this API service?"),
            button=_("Delete"),
            url=reverse("services:delete", args=[service.pk]),
            back=back,
            texts=(_("%(name)s disappears with its routes.") % {"name": service.name},),
            warning=_("This cannot be undone."),
            is_danger=True,
        )
    ]


def _activate(product: Product, services: int) -> Question:
    texts = (_("It can be published."), _("Linked API services: %(n)d") % {"n": services})
    title = _("Activate “%(product)s”?") % {"product": product}
    return Question(
        verb="activate",
        title=title,
        button=_("Activate"),
        texts=texts,
        is_primary=services > 0,
        **_places(product, "activate"),
    )


def _deactivate(product: Product) -> Question:
    texts = (_("It becomes a draft again and cannot be published until it is activated."),)
    if live := held(product, Hold.LIVE):
        texts = (
            _("This is refused now, because it is live: %(names)s. Withdraw that first.")
            % {"names": named(live)},
        )
    title = _("Deactivate “%(product)s”?") % {"product": product}
    return Question(
        verb="deactivate", title=title, button=_("Deactivate"), texts=texts, **_places(product, "deactivate")
    )


def _archive(product: Product) -> Question:
    texts = (
        _("It becomes read-only and cannot be published any more."),
        _("What is live stays live and can only be withdrawn."),
    )
    title = _("Archive “%(product)s”?") % {"product": product}
    warning = _("This cannot be undone.")
    return Question(
        verb="archive",
        title=title,
        button=_("Archive"),
        texts=texts,
        warning=warning,
        is_danger=True,
        **_places(product, "archive"),
    )


def _delete(product: Product) -> Question:
    texts = (_("Its API services stay; only their links to the product are lost."),)
    title = _("Delete “%(product)s”?") % {"product": product}
    warning = _("This cannot be undone.")
    return Question(
        verb="delete",
        title=title,
        button=_("Delete"),
        texts=texts,
        warning=warning,
        is_danger=True,
        **_places(product, "delete"),
    )


def _places(product: Product, verb: str) -> dict[str, Any]:
    return {
        "url": reverse(f"products:{verb}", args=[product.pk]),
        "back": reverse("products:detail", args=[product.pk]),
    }
