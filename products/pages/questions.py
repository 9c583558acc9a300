"""The confirmation questions of products and API services."""

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from core.pages.questions import Question
from core.usage import Hold, names_of, uses_holding
from products.models import ApiService, Product


def of_product(product: Product, *, services: int) -> list[Question]:
    """Draft: activate, delete. Active: deactivate, archive. Archived: nothing. One query at most."""
    if product.status == Product.Status.DRAFT:
        return [_activate(product, services), _delete(product)]
    if product.status == Product.Status.ACTIVE:
        return [_deactivate(product), _archive(product)]
    return []


def of_service(service: ApiService) -> list[Question]:
    """The question before deletion."""
    back = reverse("services:detail", args=[service.pk])
    return [
        Question(
            verb="delete",
            title=_("Delete this API service?"),
            button=_("Delete"),
            url=reverse("services:delete", args=[service.pk]),
            back=back,
            texts=(_("%(name)s is deleted with its routes.") % {"name": service.name},),
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
        **_urls(product, "activate"),
    )


def _deactivate(product: Product) -> Question:
    texts = (_("It becomes a draft again, and cannot be published until it is activated."),)
    if live_uses := uses_holding(product, Hold.LIVE):
        texts = (
            _("This is refused while it is live: %(names)s. Withdraw it first.")
            % {"names": names_of(live_uses)},
        )
    title = _("Deactivate “%(product)s”?") % {"product": product}
    return Question(
        verb="deactivate", title=title, button=_("Deactivate"), texts=texts, **_urls(product, "deactivate")
    )


def _archive(product: Product) -> Question:
    texts = (
        _("It becomes read-only, and can no longer be published."),
        _("Live publishes stay live, and can only be withdrawn."),
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
        **_urls(product, "archive"),
    )


def _delete(product: Product) -> Question:
    texts = (_("Its API services stay; only their links to the product are deleted."),)
    title = _("Delete “%(product)s”?") % {"product": product}
    warning = _("This cannot be undone.")
    return Question(
        verb="delete",
        title=title,
        button=_("Delete"),
        texts=texts,
        warning=warning,
        is_danger=True,
        **_urls(product, "delete"),
    )


def _urls(product: Product, verb: str) -> dict[str, Any]:
    return {
        "url": reverse(f"products:{verb}", args=[product.pk]),
        "back": reverse("products:detail", args=[product.pk]),
    }
