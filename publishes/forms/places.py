"""The place of a publish: a cluster, then one of its gateways, chosen from the wizard's cards."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext_lazy as _

from clusters.models import Cluster
from gateways.models import Gateway
from publishes.reading.facts import places
from publishes.reading.facts.places import ClusterCard, GatewayCard


class ClusterForm(forms.Form):
    """배포할 클러스터 선택: one of the cards, unless it says why not."""

    cluster = forms.ChoiceField(
        label=_("Cluster"),
        widget=forms.RadioSelect,
        error_messages={
            "required": _("Choose a cluster."),
            "invalid_choice": _("The cluster that you chose is not offered any more. Choose another one."),
        },
    )

    def __init__(self, *args: Any, cards: Sequence[ClusterCard], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cards = cards
        _offer(self, "cluster", {card.cluster.pk: card for card in cards})

    @property
    def has_usable(self) -> bool:
        """Whether there is anything to choose."""
        return any(not card.refusal for card in self.cards)

    @property
    def lacks_gateway(self) -> bool:
        """Whether a cluster could be chosen if a gateway of the tenant stood in it."""
        return any(card.refusal == places.NO_GATEWAY for card in self.cards)

    def clean_cluster(self) -> Cluster:
        card = next(card for card in self.cards if str(card.cluster.pk) == self.cleaned_data["cluster"])
        if card.refusal:
            raise forms.ValidationError(str(card.refusal))
        return card.cluster


class GatewayForm(forms.Form):
    """Gateway 선택: one of those that stand in the cluster."""

    gateway = forms.ChoiceField(
        label=_("Gateway"),
        widget=forms.RadioSelect,
        error_messages={
            "required": _("Choose a gateway."),
            "invalid_choice": _("The gateway that you chose is not offered any more. Choose another one."),
        },
    )

    def __init__(self, *args: Any, cards: Sequence[GatewayCard], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cards = cards
        _offer(self, "gateway", {card.gateway.pk: card for card in cards})

    @property
    def has_usable(self) -> bool:
        """Whether there is anything to choose."""
        return any(not card.refusal for card in self.cards)

    def clean_gateway(self) -> Gateway:
        card = next(card for card in self.cards if str(card.gateway.pk) == self.cleaned_data["gateway"])
        if card.refusal:
            raise forms.ValidationError(str(card.refusal))
        return card.gateway


def _offer(
    form: forms.Form, name: str, cards: Mapping[UUID, ClusterCard] | Mapping[UUID, GatewayCard]
) -> None:
    """The cards as choices; a single usable one is chosen from the start."""
    usable = [str(pk) for pk, card in cards.items() if not card.refusal]
    if len(usable) == 1:
        form.initial.setdefault(name, usable[0])
    field = form.fields[name]
    assert isinstance(field, forms.ChoiceField)  # noqa: S101 - tells mypy what both callers declare
    field.choices = [(str(pk), card) for pk, card in cards.items()]
