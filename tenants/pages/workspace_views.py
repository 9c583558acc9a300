"""The workspace's own pages: its members and its API tokens. For owners and admins."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from core.problems import ChangedMeanwhile, Conflict, Forbidden, Invalid, Problem
from tenants import tokens
from tenants.actors import Actor, Role
from tenants.doors import actor_page
from tenants.forms import ApiTokenForm
from tenants.people import invitations, members
from tenants.people.account_forms import MemberForm, NewTokenForm, RoleForm


@require_http_methods(["GET", "POST"])
@actor_page
def people(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The members and invitations of the workspace; POST invites a person."""
    form = MemberForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            invited = invitations.invite(
                actor, username=form.cleaned_data["username"], role=Role(form.cleaned_data["role"])
            )
        except Invalid as refusal:
            for name, texts in refusal.fields.items():
                form.add_error(name, [str(text) for text in texts])
        else:
            messages.success(request, _("%(name)s was invited") % {"name": invited.user})
            return redirect("account:members")
    return _people(request, actor, form=form)


@require_http_methods(["GET", "POST"])
@actor_page
def role(request: HttpRequest, actor: Actor, membership_id: UUID) -> HttpResponse:
    """Change a member's role. GET redirects to the page with the form."""
    members.member_of(actor, membership_id)
    if request.method == "GET":
        return redirect("account:members")
    form = RoleForm(request.POST)
    chosen = Role(form.cleaned_data["role"]) if form.is_valid() else None
    if chosen is None:
        raise Invalid(fields={"role": [str(text) for text in form.errors["role"]]})
    return _change(
        request,
        actor,
        lambda: members.change_role(actor, membership_id, role=chosen),
        success=_("The role was changed"),
    )


@require_http_methods(["GET", "POST"])
@actor_page
def remove(request: HttpRequest, actor: Actor, membership_id: UUID) -> HttpResponse:
    """Remove a member; GET asks first."""
    if request.method == "POST":
        return _change(
            request,
            actor,
            lambda: members.remove_member(actor, membership_id),
            success=_("The member was removed"),
        )
    member = members.member_of(actor, membership_id)
    token_count = tokens.api_tokens_created_by(actor, member.user_id).count()
    context = {"actor": actor, "member": member, "tokens": token_count}
    return render(request, "tenants/account/remove_member.html", context)


@require_POST
@actor_page
def take_back(request: HttpRequest, actor: Actor, invitation_id: UUID) -> HttpResponse:
    """Take back an open invitation."""
    invitations.take_back(actor, invitation_id)
    messages.success(request, _("The invitation was taken back"))
    return redirect("account:members")


@require_http_methods(["GET", "POST"])
@actor_page
def leave(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Leave the workspace; GET asks first."""
    problem = None
    if request.method == "POST":
        try:
            members.leave(actor)
        except Conflict as refusal:
            problem = refusal
        else:
            messages.success(request, _("You have left %(tenant)s") % {"tenant": actor.tenant_name})
            return redirect("account:index")
    context = {"actor": actor, "problem": problem, "tokens": tokens.unended_tokens_of_maker(actor).count()}
    return render(request, "tenants/account/leave.html", context, status=409 if problem else 200)


@never_cache
@require_http_methods(["GET", "POST"])
@actor_page
def api_tokens(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The workspace's API tokens; POST creates a token and shows it once."""
    form = NewTokenForm(request.POST or None)
    secret = ""
    problem: Problem | None = None
    if request.method == "POST" and form.is_valid():
        try:
            _token, secret = tokens.issue_api_token(
                actor, **_token_values(form), token_id=form.cleaned_data["id"]
            )
        except Forbidden as refusal:
            form.add_error("role", str(refusal.detail))
        except ChangedMeanwhile as refusal:
            problem = refusal
    shown = form if form.errors else NewTokenForm()
    context = {
        "actor": actor,
        "tokens": tokens.api_tokens_of(actor),
        "form": shown,
        "made": secret,
        "problem": problem,
        "now": timezone.now(),
    }
    return render(request, "tenants/account/tokens.html", context, status=409 if problem else _status(form))


@require_http_methods(["GET", "POST"])
@actor_page
def revoke(request: HttpRequest, actor: Actor, token_id: UUID) -> HttpResponse:
    """End a token at once; GET asks first."""
    if request.method == "POST":
        tokens.revoke_api_token(actor, token_id)
        messages.success(request, _("The token was revoked"))
        return redirect("account:tokens")
    return render(
        request,
        "tenants/account/revoke_token.html",
        {"actor": actor, "token": tokens.api_token_of(actor, token_id)},
    )


def _token_values(form: NewTokenForm) -> dict[str, Any]:
    days = form.cleaned_data["days"]
    ends = timezone.now() + timedelta(days=int(days)) if days else None
    return ApiTokenForm(
        {"name": form.cleaned_data["name"], "role": form.cleaned_data["role"], "expires_at": ends}
    ).checked()


def _change(
    request: HttpRequest, actor: Actor, service: Callable[[], object], *, success: str
) -> HttpResponse:
    try:
        service()
    except Conflict as refusal:
        return _people(request, actor, problem=refusal)
    messages.success(request, success)
    return redirect("account:members")


def _people(
    request: HttpRequest, actor: Actor, *, form: MemberForm | None = None, problem: Problem | None = None
) -> HttpResponse:
    form = form or MemberForm()
    context = {
        "actor": actor,
        "members": members.members_of(actor),
        "invitations": invitations.invitations_into(actor),
        "form": form,
        "roles": Role.choices,
        "problem": problem,
    }
    return render(
        request, "tenants/account/members.html", context, status=problem.status if problem else _status(form)
    )


def _status(form: Form) -> int:
    return 422 if form.errors else 200
