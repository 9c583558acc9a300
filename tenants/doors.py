"""What every page needs at its door: a signed-in actor."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse

from core.frame import is_htmx
from core.problems import Unauthenticated
from tenants.actors import Actor
from tenants.services import actor_by_session

P = ParamSpec("P")


def actor_page(view: Callable[Concatenate[HttpRequest, Actor, P], HttpResponse]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """A page for signed-in people; the view gets the actor after the request, and the page's frame finds it on the request."""

    @wraps(view)
    def with_actor(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        actor = actor_by_session(request)
        request.actor = actor  # type: ignore[attr-defined]
        return view(request, actor, *args, **kwargs)

    for_people = login_required(with_actor)

    @wraps(view)
    def door(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if is_htmx(request) and not request.user.is_authenticated:
            raise Unauthenticated  # a redirect would put the sign-in page into the fragment's place
        return for_people(request, *args, **kwargs)

    return door
