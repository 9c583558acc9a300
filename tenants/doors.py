"""What every page needs at its door: a signed-in actor."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse

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

    return login_required(with_actor)
