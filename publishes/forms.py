"""The settings of a publish, checked once for pages and API alike."""

from typing import Any

from django import forms
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

from clusters.models import Cluster
from core.problems import Invalid
from gateways.models import Gateway
from products.models import Product
from publishes import services
from publishes.choices import AuthMode, Environment, Visibility
from publishes.models import ProductPublish
from tenants.actors import Actor

LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
HOSTNAME = RegexValidator(
    rf"^{LABEL}(\.{LABEL})+\Z", _("A full hostname such as payment-api.dev.example.com: small letters, digits, hyphens and dots; no wildcard.")
)


class PublishForm(forms.Form):
    """Where and how a product is published. An empty hostname is filled in."""

    cluster = forms.ModelChoiceField(Cluster.objects.all(), label=_("Cluster"))
    gateway = forms.ModelChoiceField(Gateway.objects.none(), label=_("Gateway"))
    environment = forms.ChoiceField(choices=Environment, label=_("Environment"))
    auth_mode = forms.ChoiceField(choices=AuthMode, label=_("Authentication"))
    auth_config = forms.JSONField(required=False, widget=forms.HiddenInput)
    visibility = forms.ChoiceField(choices=Visibility, label=_("Visibility"))
    approval_required = forms.BooleanField(required=False, label=_("Subscriptions need an administrator's approval"))
    hostname_base = forms.CharField(required=False, max_length=253, validators=[HOSTNAME], label=_("Hostname"), help_text=_("Empty: we choose one."))

    def __init__(self, actor: Actor, product: Product, data: Any = None, *, publish: ProductPublish | None = None) -> None:
        super().__init__(data, initial=initial_of(publish))
        self.product, self.publish = product, publish
        gateways = Gateway.objects.visible_to(actor).filter(status=Gateway.Status.ACTIVE)
        choice = self.fields["gateway"]
        assert isinstance(choice, forms.ModelChoiceField)  # noqa: S101 - tells mypy what stands six lines above
        choice.queryset = gateways

    def clean_auth_mode(self) -> str:
        mode = str(self.cleaned_data["auth_mode"])
        if mode != AuthMode.NONE:
            raise forms.ValidationError(_("Only the authentication mode none can be published in this version."))
        return mode

    def clean_auth_config(self) -> dict[str, Any]:
        config = self.cleaned_data["auth_config"] or {}
        if config:
            raise forms.ValidationError(_("The authentication mode none has no settings."))
        return {}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cluster, gateway = cleaned.get("cluster"), cleaned.get("gateway")
        if cluster and gateway and not gateway.places.filter(cluster=cluster).exists():
            self.add_error("gateway", _("This gateway does not stand in the chosen cluster."))
        if cluster and cluster.maintenance and not self.publish:
            self.add_error("cluster", _("This cluster is in maintenance; choose another one."))
        if cluster and "hostname_base" in cleaned:
            cleaned["hostname_base"] = self._hostname(cluster, cleaned)
        return cleaned

    def settings(self) -> services.Settings:
        """The checked settings. Raises Invalid with a reason per field."""
        if not self.is_valid():
            raise Invalid(fields={name: [str(text) for text in texts] for name, texts in self.errors.items()})
        return services.Settings(**self.cleaned_data)

    def _hostname(self, cluster: Cluster, cleaned: dict[str, Any]) -> str:
        host = str(cleaned["hostname_base"])
        if not host:
            return services.suggest_hostname(product=self.product, cluster=cluster, environment=cleaned.get("environment", Environment.DEV))
        if not services.is_allowed_host(host, cluster=cluster):
            self.add_error("hostname_base", _("In this cluster a hostname must end in one of: %s.") % ", ".join(cluster.host_suffixes))
        return host


def initial_of(publish: ProductPublish | None) -> dict[str, Any]:
    """What the form starts from: the publish's settings, or the defaults for a new one."""
    if publish is None:
        return {"environment": Environment.DEV, "auth_mode": AuthMode.NONE, "visibility": Visibility.PUBLIC, "approval_required": True}
    return {"cluster": publish.cluster_id, "gateway": publish.gateway_id} | {name: getattr(publish, name) for name in services.SETTINGS}
