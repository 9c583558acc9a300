"""What every page needs at its door: a signed-in person, and for most pages the actor."""

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
    """A page for members of a workspace; the view gets the actor after the request, the page's frame finds it on the request.

    Others are told what to do. A form names its workspace (`csrf_token` adds that to each): one that is not the session's does nothing.
    """

    @wraps(view)
    def with_actor(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            actor = actor_by_session(request)
        except NoWorkspace as problem:
            return _without_workspace(request, problem)
        request.actor = actor  # type: ignore[attr-defined]
        if request.method == "POST" and request.POST.get("workspace", str(actor.tenant_id)) != str(
            actor.tenant_id
        ):
            return _of_another_workspace(request, actor)
        return view(request, actor, *args, **kwargs)

    return _door(with_actor)


def person_page(
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """A page for everybody who is signed in, also for people without a workspace; the frame shows the workspace if there is one."""

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
    """Whoever is signed in."""
    assert isinstance(request.user, User)  # noqa: S101 - the door has made sure
    return request.user


def _without_workspace(request: HttpRequest, problem: NoWorkspace) -> HttpResponse:
    """What somebody can do who is a member of nothing: no page of a workspace leads anywhere."""
    if is_htmx(request):
        raise problem
    request.actor = None  # type: ignore[attr-defined]
    context = {"problem": problem, "invitations": list(invitations_of(person_of(request)))}
    return render(request, "tenants/account/no_workspace.html", context, status=problem.status)


def _of_another_workspace(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Which workspace the form was of, and the way back there, for those who belong to it."""
    of = next(
        (workspace for workspace in actor.elsewhere if str(workspace.id) == request.POST["workspace"]), None
    )
    context = {"actor": actor, "of": of, "back": path_of(request.headers.get("Referer", ""), request)}
    response = render(request, "tenants/account/other_workspace.html", context, status=409)
    return retarget(reswap(response, "innerHTML"), "body") if is_htmx(request) else response


def _door(
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Signed-in people only; times are shown in their zone."""

    @wraps(view)
    def in_their_zone(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        with timezone.override(person_of(request).zone):
            return view(request, *args, **kwargs)

    for_people = login_required(in_their_zone)

    @wraps(view)
    def door(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if is_htmx(request) and not request.user.is_authenticated:
            raise Unauthenticated  # a redirect would put the sign-in page into the fragment's place
        return for_people(request, *args, **kwargs)

    return door
