"""My account: preferences, password, sessions and workspace."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language_from_request, override
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from core.pages.frame import keep_preferences, path_of, theme_of
from core.problems import NotFound
from core.security.sessions import stored_key
from tenants.doors import person_of, person_page
from tenants.people import invitations, sessions
from tenants.people.account_forms import COMMON_ZONES, NewPasswordForm, PreferencesForm
from tenants.workspaces import switch_tenant


@require_GET
@person_page
def home(request: HttpRequest) -> HttpResponse:
    """Redirect members to WORKSPACE_HOME_URL, other operators to the admin; show open invitations."""
    person, is_member = person_of(request), request.actor is not None  # type: ignore[attr-defined]
    if is_member or person.is_staff:  # the page of a person without a workspace lists the invitations itself
        for invitation in invitations.invitations_of(person):
            text = _("%(tenant)s invites you. Answer under My account.") % {"tenant": invitation.tenant}
            messages.info(request, text)
    is_operator_alone = person.is_staff and not is_member
    return redirect("admin:index" if is_operator_alone else settings.WORKSPACE_HOME_URL)


@require_GET
@person_page
def index(request: HttpRequest) -> HttpResponse:
    """The account page."""
    return _page(request)


@require_http_methods(["GET", "POST"])
@person_page
def preferences(request: HttpRequest) -> HttpResponse:
    """Save language, theme and time zone; this browser uses them at once.

    GET redirects to the account page.
    """
    if request.method == "GET":
        return redirect("account:index")
    form = PreferencesForm(request.POST, instance=person_of(request))
    if not form.is_valid():
        person_of(request).refresh_from_db()
        return _page(request, preferences=form)
    form.instance.save(update_fields=form.Meta.fields)
    with override(form.instance.language or _of_the_browser(request)):
        messages.success(request, _("Your preferences were saved"))
    response = redirect("account:index")
    if not form.instance.theme:
        response.delete_cookie("theme")
    if not form.instance.language:
        response.delete_cookie(settings.LANGUAGE_COOKIE_NAME)
    return keep_preferences(response, language=form.instance.language, theme=form.instance.theme)


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@person_page
def password(request: HttpRequest) -> HttpResponse:
    """Change the password; this session stays, all others end. GET redirects to the account page."""
    if request.method == "GET":
        return redirect("account:index")
    form = NewPasswordForm(person_of(request), request.POST)
    if not form.is_valid():
        return _page(request, password=form)
    form.save()
    old_key = str(request.session.session_key)
    update_session_auth_hash(request, form.user)
    sessions.rename(old=old_key, new=str(request.session.session_key))
    sessions.end_other_sessions(person_of(request), but=str(request.session.session_key))
    messages.success(request, _("Your password was changed; other browsers are signed out"))
    return redirect("account:index")


@require_POST
@person_page
def end_session(request: HttpRequest, session_id: int) -> HttpResponse:
    """Sign one browser out."""
    sessions.end_session(person_of(request), session_id)
    messages.success(request, _("That browser was signed out"))
    return redirect("account:index")


@require_POST
@person_page
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """Sign every browser but this one out."""
    sessions.end_other_sessions(person_of(request), but=str(request.session.session_key))
    messages.success(request, _("All other browsers were signed out"))
    return redirect("account:index")


@require_POST
@person_page
def workspace(request: HttpRequest) -> HttpResponse:
    """Switch to another workspace, and redirect to the form's `next`."""
    try:
        tenant_id = UUID(request.POST.get("tenant", ""))
    except ValueError as problem:
        raise NotFound from problem
    switch_tenant(request, tenant_id)
    return redirect(path_of(request.POST.get("next", ""), request) or "home")


@require_POST
@person_page
def accept(request: HttpRequest, invitation_id: UUID) -> HttpResponse:
    """Accept an invitation. The session switches only if it has no workspace."""
    membership = invitations.accept(person_of(request), invitation_id)
    if request.actor is None:  # type: ignore[attr-defined]
        switch_tenant(request, membership.tenant_id)
    messages.success(request, _("You are a member of %(tenant)s now") % {"tenant": membership.tenant})
    return redirect("home")


@require_POST
@person_page
def decline(request: HttpRequest, invitation_id: UUID) -> HttpResponse:
    """Decline an invitation."""
    invitations.decline(person_of(request), invitation_id)
    messages.success(request, _("The invitation was declined"))
    return redirect("account:index")


def _page(request: HttpRequest, **forms: Any) -> HttpResponse:
    person = person_of(request)
    context = {
        "preferences": PreferencesForm(instance=person, initial=_shown_now(request)),
        "password": NewPasswordForm(person),
        "zones": COMMON_ZONES,
        "sessions": sessions.sessions_of(person),
        "this_session": stored_key(str(request.session.session_key)),
        "has_second_step": settings.TWO_STEP,
        "invitations": list(invitations.invitations_of(person)),
        "elsewhere": request.elsewhere,  # type: ignore[attr-defined]
    }
    return render(request, "tenants/account/index.html", context | forms, status=422 if forms else 200)


def _of_the_browser(request: HttpRequest) -> str:
    """The browser's own language; the cookie of an earlier choice is deleted with this response."""
    request.COOKIES.pop(settings.LANGUAGE_COOKIE_NAME, None)
    return get_language_from_request(request)


def _shown_now(request: HttpRequest) -> dict[str, str]:
    """This browser's cookies as initial values: saving the theme must not change the language."""
    chosen = {"language": request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, ""), "theme": theme_of(request)}
    return {name: value for name, value in chosen.items() if value}
