"""The rules of a gateway with its listeners and clusters, the same for pages and API."""

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, cast

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import gettext_lazy as _

from clusters.models import Cluster
from core.forms import Rows, initial_values, refuse_unless_valid, rows_data
from core.problems import Invalid
from core.usage import Use
from gateways.models import Gateway, Listener, label
from gateways.services import (
    CLASS_IS_FIXED,
    NAME_TAKEN,
    GatewayFields,
    ListenerFields,
    choosable_clusters,
    refuse_removed_clusters,
)
from tenants.actors import Actor

MAX_LISTENERS = 20


class GatewayForm(forms.ModelForm[Gateway]):
    """A gateway and its clusters; listeners are in `ListenerRows`.

    `uses` are the publishes that restrict changes.
    """

    name = forms.CharField(
        max_length=63,
        validators=[label],
        label=_("Name"),
        help_text=_("Lowercase letters, digits and hyphens, as in dev-gateway."),
    )
    gateway_class = forms.ChoiceField(
        choices=Gateway.Class, label=_("Class"), widget=forms.RadioSelect, initial=Gateway.Class.ENVOY
    )
    status = forms.ChoiceField(
        choices=Gateway.Status, label=_("Status"), widget=forms.RadioSelect, initial=Gateway.Status.ACTIVE
    )
    clusters = forms.ModelMultipleChoiceField(
        Cluster.objects.none(),
        label=_("Clusters"),
        widget=forms.CheckboxSelectMultiple,
        error_messages={
            "required": _("Choose at least one cluster."),
            "invalid_choice": _("One of these clusters no longer exists. Load the page again."),
        },
    )

    class Meta:
        model = Gateway
        fields = ("name", "gateway_class", "status", "clusters")

    def __init__(
        self, actor: Actor, data: Any = None, *, gateway: Gateway | None = None, uses: Sequence[Use] = ()
    ) -> None:
        super().__init__(data, instance=copy(gateway))  # a copy: checking writes into it
        self._actor, self.uses = actor, list(uses)
        clusters = self.fields["clusters"]
        assert isinstance(clusters, forms.ModelMultipleChoiceField)  # noqa: S101 - for mypy: the field above
        clusters.queryset = self.offered = choosable_clusters(actor, gateway)

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if Gateway.objects.visible_to(self._actor).filter(name=name).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError(str(NAME_TAKEN), code="taken")
        return name

    def clean_gateway_class(self) -> str:
        gateway_class = str(self.cleaned_data["gateway_class"])
        if self.uses and gateway_class != self.initial.get("gateway_class"):
            raise forms.ValidationError(str(CLASS_IS_FIXED), code="fixed")
        return gateway_class

    def clean_clusters(self) -> Any:
        chosen = self.cleaned_data["clusters"]
        try:
            refuse_removed_clusters(self.uses, staying=frozenset(cluster.pk for cluster in chosen))
        except Invalid as problem:
            raise forms.ValidationError(
                [str(text) for text in problem.fields["clusters"]], code="fixed"
            ) from problem
        return chosen


class ListenerRow(forms.Form):
    """A port of a gateway. A blank row is ignored."""

    port = forms.IntegerField(label=_("Port"), validators=[MinValueValidator(1), MaxValueValidator(65535)])
    protocol = forms.ChoiceField(
        choices=Listener.Protocol, label=_("Protocol"), initial=Listener.Protocol.HTTP
    )
    name = forms.CharField(required=False, max_length=63, validators=[label], label=_("Name"))

    def listener_fields(self) -> ListenerFields:
        """The checked values."""
        return ListenerFields(**self.cleaned_data)


class ListenerRows(Rows[ListenerRow]):
    """The listeners of a gateway: at least one, with unique ports and names."""

    def clean(self) -> None:
        filled = self.filled()
        if not filled:
            raise forms.ValidationError(_("A gateway has at least one listener."), code="none")
        ports, names = set[int](), set[str]()
        for row in filled:
            if not row.is_valid():
                continue
            listener = row.listener_fields()
            if listener.port in ports:
                row.add_error("port", _("Another listener has this port."))
            elif listener.full_name in names:
                row.add_error("name", _("Another listener has this name."))
            ports.add(listener.port)
            names.add(listener.full_name)


def listener_rows(
    data: Any = None, *, initial: Sequence[Mapping[str, Any]] | None = None, extra: int = 0
) -> ListenerRows:
    """The form's rows: as posted, or the initial ones."""
    rows = forms.formset_factory(
        ListenerRow,
        formset=ListenerRows,
        extra=extra,
        max_num=MAX_LISTENERS,
        validate_max=True,
        absolute_max=MAX_LISTENERS + 1,
    )
    return cast(
        ListenerRows,
        rows(
            data, initial=[dict(row) for row in initial] if initial is not None else None, prefix="listeners"
        ),
    )


def initial_rows(gateway: Gateway) -> list[dict[str, Any]]:
    """A gateway's listeners for the form; a default name is left out. One query."""
    return [_row_of(listener) for listener in gateway.listeners.all()]


def gateway_fields(form: GatewayForm, rows: ListenerRows) -> GatewayFields:
    """The checked values. Raises Invalid with the reasons per field, such as `listeners.0.port`."""
    refuse_unless_valid(form, rows)
    cleaned = dict(form.cleaned_data)
    ids = frozenset(cluster.pk for cluster in cleaned.pop("clusters"))
    return GatewayFields(
        **cleaned, cluster_ids=ids, listeners=tuple(row.listener_fields() for row in rows.filled())
    )


def checked_gateway(
    actor: Actor, changes: Mapping[str, Any], *, gateway: Gateway | None = None, uses: Sequence[Use] = ()
) -> GatewayFields:
    """A program's gateway with `listeners`, checked like a page's. Omitted fields stay, or get the default.

    Raises Invalid.
    """
    current = initial_values(GatewayForm(actor, gateway=gateway)) | {
        "clusters": [cluster.pk for cluster in gateway.clusters.all()] if gateway else []
    }
    listeners = changes.get("listeners", initial_rows(gateway) if gateway else [])
    form = GatewayForm(
        actor,
        current | {name: value for name, value in changes.items() if name != "listeners"},
        gateway=gateway,
        uses=uses,
    )
    rows = listener_rows(rows_data("listeners", listeners, defaults={"protocol": Listener.Protocol.HTTP}))
    return gateway_fields(form, rows)


def _row_of(listener: Listener) -> dict[str, Any]:
    fields = ListenerFields(port=listener.port, protocol=listener.protocol)
    return {
        "port": listener.port,
        "protocol": listener.protocol,
        "name": "" if listener.name == fields.full_name else listener.name,
    }
