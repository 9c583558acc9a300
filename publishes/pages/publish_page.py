"""A publish's page and its live parts: what they show, and how they are answered. Pages, verbs and keys stand on it."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.messages.storage.base import BaseStorage
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event

from agent.protocol.spec import Spec
from core.pages.frame import is_htmx
from core.pages.live import version_of
from core.problems import NotFound, Problem
from core.texts import whole_number
from publishes import spec
from publishes.choices import Status
from publishes.engine import allowed
from publishes.models import ProductPublish
from publishes.reading.callers import curl
from publishes.reading.detail.history import history_of
from publishes.reading.detail.snapshot import Snapshot, snapshot_of
from publishes.reading.facts import selectors
from tenants.actors import Actor

POLL_MS = ((2, 100), (10, 250))
POLL_SLOW_MS = 1000
REST_MS = 10_000
LAST_PAGE = 10_000


def publish_at(actor: Actor, product_id: UUID, publish_id: UUID) -> ProductPublish:
    """The publish, if it is one of that product. Raises NotFound."""
    publish = selectors.publish_of(actor, publish_id)
    if publish.product_id != product_id:
        raise NotFound
    return publish


def live_at(actor: Actor, product_id: UUID, publish_id: UUID) -> Snapshot:
    """The same with what goes on. Raises NotFound."""
    now = snapshot_of(actor, publish_id)
    if now.publish.product_id != product_id:
        raise NotFound
    return now


def detail_page(
    request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID, *, problem: Problem | None = None
) -> HttpResponse:
    """The whole page, with a refusal at its top if there is one."""
    now = live_at(actor, product_id, publish_id)
    deployed = deployed_of(now.publish)
    context = live_context(actor, now) | carried_context(now.publish, deployed)
    context |= {
        "history": history_of(now.publish, number=page_number(request, "history")),
        "curl": command_of(now, deployed),
        "problem": problem,
    }
    return render(
        request, "publishes/publish/detail.html", context, status=problem.status if problem else 200
    )


def deployed_of(publish: ProductPublish) -> Spec | None:
    """What is live, as it was sent; None when nothing is. One query."""
    return selectors.deployed_spec_of(publish) if publish.status == Status.PUBLISHED else None


def carried_context(publish: ProductPublish, deployed: Spec | None) -> dict[str, Any]:
    """The services that are live, or would go along now, and what would not."""
    selection = spec.select(publish.product)
    would_go = spec.services_of(selection)
    carried = deployed.services if deployed else would_go
    return {"services": carried, "left_out": selection.left_out, "has_moved_on": carried != would_go}


def command_of(now: Snapshot, deployed: Spec | None, *, key: str = "") -> curl.Command | None:
    """The ready-made command, with a key that was just made; None when nothing is live."""
    return curl.command(now, deployed.services, key=key) if deployed else None


def page_number(request: HttpRequest, name: str) -> int:
    """The page that the URL's parameter asks for; what makes no sense is the first."""
    return whole_number(request.GET.get(name, ""), most=LAST_PAGE) or 1


def live_context(actor: Actor, now: Snapshot) -> dict[str, Any]:
    """What the status fragment and the agent board show, and how soon they ask again."""
    poll_ms = _poll_ms(now)
    actions = allowed.permissions(actor, now)
    return {
        "live": now,
        "publish": now.publish,
        "product": now.publish.product,
        "actor": actor,
        "poll_ms": poll_ms,
        "rest_ms": REST_MS,
        "version": version_of(now.version, poll_ms, [(name, actions[name].code) for name in actions]),
        "actions": actions,
    }


def _poll_ms(now: Snapshot) -> int:
    """How often the browser should ask, by the age of what is open; 0 when nothing is."""
    open_ones = [
        operation
        for operation in (now.following, now.operation)
        if operation is not None and operation.is_open
    ]
    if not open_ones:
        return 0
    age_s = (timezone.now() - open_ones[0].created_at).total_seconds()
    return next((ms for limit_s, ms in POLL_MS if age_s < limit_s), POLL_SLOW_MS)


def live_fragment(request: HttpRequest, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """Status and, out of band, the board; whoever shows the history is told to fetch it."""
    response = render(request, "publishes/publish/_live.html", context | {"with_board": True}, status=status)
    return trigger_client_event(response, "history-changed", after="settle")


def lead_away(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID, /) -> HttpResponse:
    """A part of a page whose publish was deleted in the meantime leads to the product. Raises NotFound when it never was."""
    selectors.tombstone_of(actor, publish_id)
    return gone(request, product_id)


def gone(request: HttpRequest, product_id: UUID) -> HttpResponse:
    """To the product, whose publish was deleted."""
    _say_once(request, _("The publish was deleted"))
    url = reverse("products:detail", args=[product_id])
    return HttpResponseClientRedirect(url) if is_htmx(request) else redirect(url)


def _say_once(request: HttpRequest, text: str) -> None:
    """A toast for the next page, unless it waits already: a second poll may be here before the page has changed."""
    waiting = messages.get_messages(request)
    if all(message.message != text for message in waiting):
        messages.success(request, text)
    if isinstance(waiting, BaseStorage):
        waiting.used = False
