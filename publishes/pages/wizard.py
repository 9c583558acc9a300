"""The way to a draft: cluster → Gateway → settings → confirm. A page a step; the session keeps choices."""

from functools import cached_property
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_htmx.http import HttpResponseClientRedirect

from clusters.models import Cluster
from core.pages.wizards import RunWizard
from core.problems import NotFound
from gateways.models import Gateway
from products.catalogue.selectors import products_of
from products.models import Product, ProductService
from publishes import errors, spec
from publishes.engine import allowed
from publishes.forms.places import ClusterForm, GatewayForm
from publishes.forms.settings import SettingsForm
from publishes.models import ProductPublish
from publishes.reading.facts import places
from publishes.reading.facts.places import ClusterCard, GatewayCard
from publishes.verbs import drafts, prechecks
from tenants.actors import Actor
from tenants.doors import actor_page

# Translators: the steps' captions are 클러스터, Gateway, 설정, 확인.
CAPTIONS = {
    "cluster": gettext_lazy("Cluster"),
    "gateway": gettext_lazy("Gateway"),
    "settings": gettext_lazy("Settings"),
    "confirm": gettext_lazy("Confirm"),
}


class ConfirmForm(forms.Form):
    """Nothing to choose: the key names the choices that the page showed, so that no others are confirmed."""

    run_key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, expected: UUID | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expected = expected

    def clean_run_key(self) -> UUID:
        key: UUID = self.cleaned_data["run_key"]
        if key != self.expected:
            raise forms.ValidationError(
                _(
                    "Your choices were changed in another tab. "
                    "These are the latest: please look at them again."
                )
            )
        return key


class PublishWizard(RunWizard):
    """배포하기, for a writer of the product's tenant, when the product is active and has a service."""

    url_name = "publishes:create-step"
    form_list = [
        ("cluster", ClusterForm),
        ("gateway", GatewayForm),
        ("settings", SettingsForm),
        ("confirm", ConfirmForm),
    ]
    actor: Actor
    product: Product

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.actor = args[0]
        self.product = _publishable(self.actor, kwargs["product_id"])
        return super().dispatch(request, **kwargs)

    def subject(self) -> str:
        return str(self.product.pk)

    def cancel_url(self) -> str:
        return reverse("products:detail", args=[self.product.pk])

    def get_step_url(self, step: str) -> str:
        return reverse(self.url_name, args=[self.product.pk, step])

    def get_template_names(self) -> list[str]:
        return [f"publishes/wizard/{self.steps.current}.html"]

    def get_form_kwargs(self, step: str | None = None) -> dict[str, Any]:
        is_shown = step in {None, self.steps.current}
        name = step or self.steps.current
        if name == "cluster":
            return {
                "cards": self._open_clusters()
                if is_shown
                else [_stored_cluster(row) for row in [self.place[0]] if row]
            }
        if name == "gateway":
            return {
                "cards": places.gateways(self.actor, self.cluster)
                if is_shown
                else [GatewayCard(gateway=row) for row in [self.place[1]] if row]
            }
        if name == "settings":
            return {"product": self.product, "cluster": self.cluster, "is_kept": not is_shown}
        return {"expected": self.storage.run_key}

    def _open_clusters(self) -> list[ClusterCard]:
        return [card for card in places.clusters(self.actor, for_publishing=True) if card.is_open]

    def get_form_initial(self, step: str) -> dict[str, Any]:
        return {"run_key": self.storage.run_key} if step == "confirm" else {}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        context |= {
            "product": self.product,
            "actor": self.actor,
            "current": self.steps.step1 - 1,
            "stepper_steps": self._stepper(),
        }
        context["step_title"] = CAPTIONS[self.steps.current]
        if self.steps.current != "cluster":
            context |= {"cluster": self.cluster, "gateway": self.place[1]}
        if self.steps.current == "confirm":
            context |= self._confirm_context()
        return context

    def kept_changed(self, step: str) -> None:
        if step == "cluster":
            self.storage.keep("gateway", {})

    def already_finished(self) -> HttpResponse | None:
        posted = _as_id(self.request.POST.get("confirm-run_key", ""))
        return self._draft_of_run(posted) if posted != self.storage.run_key else None

    def finish(self) -> HttpResponse:
        """Make the draft, unless another publish has claimed the shown hostname meanwhile."""
        settings = self._settings_form(is_kept=False)
        if not settings.is_valid() or settings.cleaned_data["hostname_base"] != self.draft.hostname_base:
            return self._draft_of_run(self.storage.run_key) or self._confirm_new_hostname(settings)
        chosen = settings.settings(gateway=self.gateway)
        publish = drafts.create_publish(
            self.actor, self.product, settings=chosen, run_key=self.storage.run_key
        )
        self.storage.reset()
        messages.success(self.request, _("The publish was created"))
        return redirect("publishes:detail", self.product.pk, publish.pk)

    @cached_property
    def place(self) -> tuple[Cluster | None, Gateway | None]:
        """The cluster and gateway in the session, as far as they exist."""
        cluster_id, gateway_id = (
            _as_id(self.storage.kept_value(name, f"{name}-{name}")) for name in ("cluster", "gateway")
        )
        return places.place_of(self.actor, cluster_id=cluster_id, gateway_id=gateway_id)

    @property
    def cluster(self) -> Cluster:
        """The chosen cluster; the steps before this one are valid, so there is one."""
        cluster = self.place[0]
        assert cluster is not None  # noqa: S101 - see above
        return cluster

    @property
    def gateway(self) -> Gateway:
        """The chosen gateway; for the same reason there is one."""
        gateway = self.place[1]
        assert gateway is not None  # noqa: S101 - see above
        return gateway

    @cached_property
    def draft(self) -> ProductPublish:
        """The draft that `finish` would make, not stored."""
        form = self._settings_form(is_kept=True)
        chosen = form.settings(gateway=self.gateway)
        values = {name: getattr(chosen, name) for name in drafts.SETTINGS}
        return ProductPublish(
            tenant_id=self.actor.tenant_id,
            product=self.product,
            cluster=chosen.cluster,
            gateway=chosen.gateway,
            **values,
        )

    def _draft_of_run(self, run_key: UUID | None) -> HttpResponse | None:
        """To the draft that another click has made with this key; None when none has."""
        if run_key is None:
            return None
        publishes = ProductPublish.objects.visible_to(self.actor).filter(product=self.product)
        draft = publishes.filter(run_key=run_key).first()
        return redirect("publishes:detail", self.product.pk, draft.pk) if draft else None

    def _confirm_new_hostname(self, settings: SettingsForm) -> HttpResponse:
        if not settings.is_valid():
            return redirect(self.get_step_url("settings"))
        self.keep("settings", settings)
        messages.info(
            self.request, _("The suggested hostname was taken in the meantime. Please look at the new one.")
        )
        return redirect(self.get_step_url("confirm"))

    def _settings_form(self, *, is_kept: bool) -> SettingsForm:
        data = self.storage.get_step_data("settings")
        return SettingsForm(
            data, prefix="settings", product=self.product, cluster=self.cluster, is_kept=is_kept
        )

    def _stepper(self) -> list[tuple[str, str]]:
        """Captions; links only on the last page, because on the others a link would lose unsaved input."""
        is_last = self.steps.current == self.steps.last
        return [(str(CAPTIONS[step]), self.get_step_url(step) if is_last else "") for step in self.steps.all]

    def _confirm_context(self) -> dict[str, Any]:
        context: dict[str, Any] = {"draft": self.draft, "selection": spec.select(self.product)}
        context["urls"] = {step: self.get_step_url(step) for step in self.steps.all}
        if "check" in self.request.GET:
            context |= _checked(self.draft)
        return context


class Prechecks(PublishWizard):
    """The fragment of the confirm page that checks agents, hostname and upstreams."""

    http_method_names = ["get", "head"]

    def get(
        self, request: HttpRequest, *_args: Any, step: str | None = "confirm", **_kwargs: Any
    ) -> HttpResponse:
        elsewhere = self.enter(str(step))
        if elsewhere is not None:
            return HttpResponseClientRedirect(elsewhere.headers["Location"])
        return render(request, "publishes/wizard/_checks.html", _checked(self.draft))


class Hostname(PublishWizard):
    """The fragment of the settings page that follows the environment until somebody edits the hostname."""

    http_method_names = ["get", "head"]

    def get(
        self, request: HttpRequest, *_args: Any, step: str | None = "settings", **_kwargs: Any
    ) -> HttpResponse:
        elsewhere = self.enter(str(step))
        if elsewhere is not None:
            return HttpResponseClientRedirect(elsewhere.headers["Location"])
        return render(
            request,
            "publishes/wizard/_hostname.html",
            {"form": self.get_form(data=request.GET), "hostname_url": request.path},
        )


def _checked(draft: ProductPublish) -> dict[str, Any]:
    checks = prechecks.run(draft)
    return {"checks": checks, "blocked": any(check.level == prechecks.Level.BLOCKER for check in checks)}


def _publishable(actor: Actor, product_id: UUID) -> Product:
    """The product to publish. One query. Raises NotFound, Forbidden, ProductNotActive or NoService."""
    linked = ProductService.objects.filter(product=OuterRef("pk"))
    product = products_of(actor).filter(pk=product_id).annotate(is_linked=Exists(linked)).first()
    if product is None:
        raise NotFound
    actor.require_write()
    allowed.require_active(product)
    if not product.is_linked:
        raise errors.NoService
    return product


def _as_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _stored_cluster(cluster: Cluster) -> ClusterCard:
    """A chosen cluster was usable then. Now only maintenance refuses it; its agents are a precheck."""
    return ClusterCard(
        cluster=cluster, status=Cluster.Status.MAINTENANCE if cluster.maintenance else Cluster.Status.ACTIVE
    )


create = actor_page(PublishWizard.as_view(url_name=PublishWizard.url_name))
checks = actor_page(Prechecks.as_view(url_name=PublishWizard.url_name))
hostname = actor_page(Hostname.as_view(url_name=PublishWizard.url_name))
