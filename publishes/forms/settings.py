"""The settings of a publish, checked once for pages and API alike."""

from copy import copy
from typing import Any

from django import forms
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

from clusters.models import Cluster
from core.problems import Invalid
from gateways.models import Gateway
from gateways.services import NOT_IN_CLUSTER
from products.models import Product
from publishes.callers import auth_config, issuers
from publishes.choices import AuthMode, Environment, Visibility
from publishes.engine import hosts
from publishes.models import ProductPublish
from publishes.reading.facts import places
from publishes.verbs import drafts
from tenants.actors import Actor

LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
HOSTNAME = RegexValidator(
    rf"^{LABEL}(\.{LABEL})+\Z",
    _(
        "A full hostname such as payment-api.dev.example.com: small letters, digits, hyphens and dots; "
        "no wildcard."
    ),
)


class SettingsRules(forms.Form):
    """The settings of a publish and their rules; its place is the subclass's. Fills in an empty hostname."""

    environment = forms.ChoiceField(choices=Environment, label=_("Environment"), widget=forms.RadioSelect)
    auth_mode = forms.ChoiceField(choices=AuthMode, label=_("Authentication mode"), widget=forms.RadioSelect)
    visibility = forms.ChoiceField(choices=Visibility, label=_("Visibility"), widget=forms.RadioSelect)
    approval_required = forms.BooleanField(
        required=False, label=_("Subscriptions need an administrator's approval")
    )
    hostname_base = forms.CharField(
        required=False,
        max_length=253,
        validators=[HOSTNAME],
        label=_("Hostname"),
        help_text=_("Empty: we choose one."),
    )

    product: Product
    publish: ProductPublish | None = None

    def suggestion(self, cluster: Cluster, environment: str) -> str:
        """The hostname that we would choose. One query."""
        return hosts.suggest_hostname(
            product=self.product, cluster=cluster, environment=environment, publish=self.publish
        )

    def checked_hostname(self, cluster: Cluster, environment: str) -> str:
        """The given hostname, or a suggestion for none. One query."""
        host = str(self.cleaned_data["hostname_base"])
        if not host:
            return self.suggestion(cluster, environment)
        if not hosts.is_allowed_host(host, cluster=cluster):
            self.add_error(
                "hostname_base",
                _("In this cluster a hostname must end in one of: %s.") % ", ".join(cluster.host_suffixes),
            )
        elif hosts.is_host_taken(
            host, cluster=cluster, tenant_id=self.product.tenant_id, publish=self.publish
        ):
            free = hosts.free_hostname(
                host, cluster=cluster, tenant_id=self.product.tenant_id, publish=self.publish
            )
            self.add_error(
                "hostname_base",
                _("Another publish has this hostname in this cluster. %(free)s is free.") % {"free": free},
            )
        return host

    def refuse_unless_valid(self) -> None:
        """Raises Invalid with a reason per field."""
        if not self.is_valid():
            raise Invalid(fields={name: [str(text) for text in texts] for name, texts in self.errors.items()})


class PublishForm(SettingsRules):
    """The place and settings of a publish in one form, for the API and files."""

    cluster = forms.ModelChoiceField(Cluster.objects.none(), label=_("Cluster"))
    gateway = forms.ModelChoiceField(Gateway.objects.none(), label=_("Gateway"))
    auth_config = forms.JSONField(required=False, widget=forms.HiddenInput)
    field_order = ("cluster", "gateway")

    def __init__(
        self, actor: Actor, product: Product, data: Any = None, *, publish: ProductPublish | None = None
    ) -> None:
        super().__init__(data, initial=initial_of(publish))
        self.product, self.publish = product, publish
        clusters, gateways = self.fields["cluster"], self.fields["gateway"]
        assert isinstance(clusters, forms.ModelChoiceField)  # noqa: S101 - tells mypy the type of the field
        assert isinstance(gateways, forms.ModelChoiceField)  # noqa: S101
        clusters.queryset = Cluster.objects.visible_to(actor) | Cluster.objects.filter(
            pk__in=[publish.cluster_id] if publish else []
        )
        gateways.queryset = Gateway.objects.visible_to(actor).filter(status=Gateway.Status.ACTIVE)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cluster, gateway = cleaned.get("cluster"), cleaned.get("gateway")
        if cluster and gateway and not gateway.places.filter(cluster=cluster).exists():
            self.add_error("gateway", NOT_IN_CLUSTER)
        if cluster and cluster.maintenance and not self.publish:
            self.add_error("cluster", places.IN_MAINTENANCE)
        if cluster and "hostname_base" in cleaned:
            cleaned["hostname_base"] = self.checked_hostname(
                cluster, cleaned.get("environment", Environment.DEV)
            )
        self._check_auth(cleaned)
        return cleaned

    def _check_auth(self, cleaned: dict[str, Any]) -> None:
        raw, mode = cleaned.get("auth_config") or {}, cleaned.get("auth_mode")
        if (
            self.publish is not None
            and mode != self.publish.auth_mode
            and "auth_config" in cleaned
            and raw == self.publish.auth_config
        ):
            raw = {}  # the mode changed and its settings did not: those of the old mode do not apply
        try:
            cleaned["auth_config"] = auth_config.checked(str(mode), raw) if mode else {}
            if mode == AuthMode.OAUTH2:
                issuers.learn(cleaned["auth_config"]["issuer_url"], owner=self.product.tenant_id)
        except auth_config.WrongConfig as problem:
            self.add_error("auth_config", [str(text) for text in problem.sentences])
        except issuers.IssuerRefused as problem:
            self.add_error("auth_config", str(auth_config.sentence("issuer_url", problem.text)))

    def settings(self) -> drafts.Settings:
        """The checked settings. Raises Invalid with a reason per field."""
        self.refuse_unless_valid()
        return drafts.Settings(**self.cleaned_data)


class SettingsForm(SettingsRules):
    """배포 설정 for a chosen place: the wizard's third step, and 설정 변경 with a fixed hostname.

    `hostname_suggested` is what the page had filled in: a hostname equal to it was not edited, so it follows
    environment and cluster. `is_kept` is for values that were checked when they were entered: whether the
    hostname is still free is not asked again.
    """

    key_header = forms.CharField(required=False, max_length=60, label=_("Header of the key"))
    issuer_url = forms.CharField(required=False, max_length=500, label=_("Issuer URL"))
    audience = forms.CharField(required=False, max_length=200, label=_("Audience"))
    scopes = forms.CharField(required=False, max_length=500, label=_("Scopes"))
    hostname_suggested = forms.CharField(required=False, max_length=253, widget=forms.HiddenInput)
    hostname_cluster = forms.CharField(required=False, max_length=36, widget=forms.HiddenInput)

    def __init__(
        self,
        *args: Any,
        product: Product,
        cluster: Cluster,
        publish: ProductPublish | None = None,
        is_kept: bool = False,
        **kwargs: Any,
    ) -> None:
        kwargs["initial"] = initial_of(publish) | (kwargs.get("initial") or {})
        super().__init__(*args, **kwargs)
        self.product, self.cluster, self.publish, self.is_kept = product, cluster, publish, is_kept
        if not self.is_bound:
            self._fill_in()
        elif not is_kept and publish is None:
            self._follow()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.is_kept and cleaned.get("hostname_cluster") != str(self.cluster.pk):
            self.add_error("hostname_base", _("The cluster was changed. Please look at the hostname again."))
        elif (
            "hostname_base" in cleaned
            and not self.is_kept
            and (self.publish or cleaned["hostname_base"] != cleaned.get("hostname_suggested"))
        ):
            cleaned["hostname_base"] = self.checked_hostname(
                self.cluster, cleaned.get("environment", Environment.DEV)
            )
        cleaned["auth_config"] = self._checked_auth(cleaned) if cleaned.get("auth_mode") else {}
        return cleaned

    def settings(self, *, gateway: Gateway) -> drafts.Settings:
        """The checked settings for that gateway of the cluster. Raises Invalid with a reason per field."""
        self.refuse_unless_valid()
        return drafts.Settings(
            cluster=self.cluster,
            gateway=gateway,
            **{name: self.cleaned_data[name] for name in drafts.SETTINGS},
        )

    def _checked_auth(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        """The settings of the chosen mode; fields of other modes, which the page hides, are ignored.

        Asks the issuer, unless `is_kept`.
        """
        mode = str(cleaned["auth_mode"])
        typed = {name: cleaned.get(name, "") for name in auth_config.NAMES[AuthMode(mode)]}
        try:
            checked = auth_config.checked(mode, {name: value for name, value in typed.items() if value})
            if mode == AuthMode.OAUTH2 and not self.is_kept:
                issuers.learn(checked["issuer_url"], owner=self.product.tenant_id)
        except auth_config.WrongConfig as problem:
            for name, text in problem.texts.items():
                self.add_error(name, str(text))
        except issuers.IssuerRefused as problem:
            self.add_error("issuer_url", str(problem.text))
        else:
            return checked
        return {}

    def _fill_in(self) -> None:
        suggested = self.suggestion(self.cluster, str(self.initial["environment"]))
        self.initial.setdefault("hostname_base", suggested)
        self.initial["hostname_suggested"] = suggested

    def _follow(self) -> None:
        """A suggestion that was not edited becomes the suggestion for the current environment and cluster."""
        host, suggested, environment, place = (
            self.add_prefix(n)
            for n in ("hostname_base", "hostname_suggested", "environment", "hostname_cluster")
        )
        data: Any = copy(self.data)
        self.data = data
        data[place] = str(self.cluster.pk)
        if data.get(host, "").strip() in {"", data.get(suggested, "")}:
            chosen = data.get(environment)
            data[host] = data[suggested] = self.suggestion(
                self.cluster, chosen if chosen in Environment.values else Environment.DEV
            )


def initial_of(publish: ProductPublish | None) -> dict[str, Any]:
    """The initial values of the form: the publish's settings, or the defaults for a new one."""
    if publish is None:
        return {
            "environment": Environment.DEV,
            "auth_mode": AuthMode.NONE,
            "visibility": Visibility.PUBLIC,
            "approval_required": True,
        }
    shown = {**publish.auth_config, "scopes": " ".join(publish.auth_config.get("scopes", []))}
    return (
        {"cluster": publish.cluster_id, "gateway": publish.gateway_id}
        | shown
        | {name: getattr(publish, name) for name in drafts.SETTINGS}
    )
