"""The doors of pages: a signed-in person, and for most pages an actor."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django_htmx.http import reswap, retarget

from core.pages.frame import is_htmx, path_of
from core.problems import Unauthenticated
from tenants.actors import Actor
from tenants.models import User
from tenants.people.invitations import invitations_of
from tenants.workspaces import NoWorkspace, actor_by_session

P = ParamSpec("P")


def actor_page(
    view: Callable[Concatenate[HttpRequest, Actor, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """A page for members of a workspace.

    The view gets the actor after the request; the frame reads `request.actor`.

    People without a workspace see what to do. A form of another workspace (`csrf_token` names it) changes
    nothing.
    """

    @wraps(view)
    def with_actor(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            actor = actor_by_session(request)
        except NoWorkspace as problem:
            return _without_workspace(request, problem)
        request.actor = actor  # type: ignore[attr-defined]
        own = str(actor.tenant_id)
        if request.method == "POST" and request.POST.get("workspace", own) != own:
            return _of_another_workspace(request, actor)
        return view(request, actor, *args, **kwargs)

    return _door(with_actor)


def person_page(
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """A page for every signed-in person, also without a workspace. The frame shows the workspace, if any."""

    @wraps(view)
    def with_frame(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            request.actor = actor_by_session(request)  # type: ignore[attr-defined]
            request.elsewhere = request.actor.elsewhere  # type: ignore[attr-defined]
        except NoWorkspace as problem:
            request.actor, request.elsewhere = None, problem.elsewhere  # type: ignore[attr-defined]
        return view(request, *args, **kwargs)

    return _door(with_frame)


def person_of(request: HttpRequest) -> User:
    """The signed-in person."""
    assert isinstance(request.user, User)  # noqa: S101 - checked by the door
    return request.user


def _without_workspace(request: HttpRequest, problem: NoWorkspace) -> HttpResponse:
    """The page for a person without a workspace: invitations, and what to do."""
    if is_htmx(request):
        raise problem
    request.actor = None  # type: ignore[attr-defined]
    context = {"problem": problem, "invitations": list(invitations_of(person_of(request)))}
    return render(request, "tenants/account/no_workspace.html", context, status=problem.status)


def _of_another_workspace(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The page for a form of another workspace: which one, and the way back for its members."""
    workspace_id = request.POST["workspace"]
    of = next((workspace for workspace in actor.elsewhere if str(workspace.id) == workspace_id), None)
    context = {"actor": actor, "of": of, "back": path_of(request.headers.get("Referer", ""), request)}
    response = render(request, "tenants/account/other_workspace.html", context, status=409)
    return retarget(reswap(response, "innerHTML"), "body") if is_htmx(request) else response


def _door(
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Signed-in people only; times are shown in their time zone."""

    @wraps(view)
    def in_their_zone(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        with timezone.override(person_of(request).zone):
            return view(request, *args, **kwargs)

    for_people = login_required(in_their_zone)

    @wraps(view)
    def door(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if is_htmx(request) and not request.user.is_authenticated:
            raise Unauthenticated  # a redirect would put the sign-in page into the fragment
        return for_people(request, *args, **kwargs)

    return door
