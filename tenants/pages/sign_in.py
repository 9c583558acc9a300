"""Sign-in: by password, by an identity provider, with a second step. The last two only if configured."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from allauth.account.utils import perform_login
from allauth.account.views import reauthenticate
from allauth.mfa.base import views as second_step
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.socialaccount import views as providers
from allauth.socialaccount.providers.openid_connect import views as oidc
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from core.api.limits import Failures, TooManyFailures
from core.problem_responses import locked_out
from core.problems import Forbidden, NotFound
from tenants.doors import person_page
from tenants.people.sign_in_rules import address_of

log = structlog.get_logger(__name__)
View = Callable[..., HttpResponse]
FAILURES, FAILURES_MINUTES = 60, 15
"""Wrong passwords per address, and the window: an office shares one address."""


class SignInForm(AuthenticationForm):
    """User name and password."""

    error_messages = AuthenticationForm.error_messages | {
        "invalid_login": _("Wrong user name or password. Check capital and small letters."),
    }


class SignIn(LoginView):
    """The sign-in page. The library does the rest: second step, and noting the session."""

    template_name = "tenants/sign_in/form.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Wrong passwords also count per address, for all names together."""
        failures = Failures(of=f"sign-in {address_of(request)}", most=FAILURES, minutes=FAILURES_MINUTES)
        try:
            failures.require_few()
        except TooManyFailures:
            return locked_out(request)
        response = super().post(request, *args, **kwargs)
        if not request.user.is_authenticated and response.status_code == 200:
            failures.count()
        return response

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        response: HttpResponse = perform_login(
            self.request, form.get_user(), redirect_url=self.get_success_url()
        )
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {
            "provider": settings.OIDC_NAME if settings.OIDC_ISSUER else ""
        }


def _while_on(setting: str, view: View) -> View:
    """The view while the setting is on; otherwise 404."""

    @wraps(view)
    def gate(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        if not getattr(settings, setting):
            raise NotFound
        return view(request, **kwargs)

    return gate


def _with_issuer(view: View) -> View:
    """The view, with an error page when the identity provider fails."""

    @wraps(view)
    def guarded(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, **kwargs)
        except OSError as problem:  # raised by the library's HTTP client: no connection, a refusal, no JSON
            log.warning("identity_provider_failed", reason=type(problem).__name__)
            return render(request, "socialaccount/authentication_error.html", status=502)

    return _while_on("OIDC_ISSUER", guarded)


def admin_sign_in(request: HttpRequest) -> HttpResponse:
    """Send operators to the common sign-in: the admin's own form has no second step and notes no session."""
    if request.user.is_authenticated:
        raise Forbidden(_("This account is not an operator."))
    return redirect_to_login(request.GET.get("next", reverse("admin:index")))


# The library's URL names. Its other pages (sign-up above all) do not exist.
urlpatterns = [
    path("sign-in", SignIn.as_view(), name="sign-in"),
    path("sign-in", SignIn.as_view(), name="account_login"),
    path("sign-in/second-step", _while_on("TWO_STEP", second_step.authenticate), name="mfa_authenticate"),
    path(
        "sign-in/oidc/<str:provider_id>", _with_issuer(require_POST(oidc.login)), name="openid_connect_login"
    ),
    path(
        "sign-in/oidc/<str:provider_id>/callback", _with_issuer(oidc.callback), name="openid_connect_callback"
    ),
    path(
        "sign-in/refused", _while_on("OIDC_ISSUER", providers.login_error), name="socialaccount_login_error"
    ),
    path(
        "sign-in/cancelled",
        _while_on("OIDC_ISSUER", providers.login_cancelled),
        name="socialaccount_login_cancelled",
    ),
    path("sign-in/unknown", _while_on("OIDC_ISSUER", providers.signup), name="socialaccount_signup"),
    path(
        "account/password-again",
        require_http_methods(["GET", "POST"])(reauthenticate),
        name="account_reauthenticate",
    ),
    path("account/code-again", _while_on("TWO_STEP", second_step.reauthenticate), name="mfa_reauthenticate"),
    path("account/second-step", _while_on("TWO_STEP", person_page(second_step.index)), name="mfa_index"),
    path(
        "account/second-step/app",
        _while_on("TWO_STEP", person_page(totp.activate_totp)),
        name="mfa_activate_totp",
    ),
    path(
        "account/second-step/app/off",
        _while_on("TWO_STEP", person_page(totp.deactivate_totp)),
        name="mfa_deactivate_totp",
    ),
    path(
        "account/second-step/codes",
        _while_on("TWO_STEP", person_page(recovery_codes.view_recovery_codes)),
        name="mfa_view_recovery_codes",
    ),
    path(
        "account/second-step/codes/new",
        _while_on("TWO_STEP", person_page(recovery_codes.generate_recovery_codes)),
        name="mfa_generate_recovery_codes",
    ),
]
