"""The confirmation questions of a gateway."""

from django.urls import reverse
from django.utils.translation import gettext as _

from core.pages.questions import Question
from gateways.models import Gateway


def of_gateway(gateway: Gateway) -> list[Question]:
    """The question before deletion."""
    return [
        Question(
            verb="delete",
            title=_("Delete this gateway?"),
            button=_("Delete"),
            url=reverse("gateways:delete", args=[gateway.pk]),
            back=reverse("gateways:detail", args=[gateway.pk]),
            texts=(
                _("%(name)s can no longer be chosen for a publish. The running gateways are not touched.")
                % {"name": gateway.name},
            ),
            warning=_("This cannot be undone."),
            is_danger=True,
        )
    ]
