"""What a publish's page and its polled parts show, and their answers. Pages, verbs and keys stand on it."""

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


def snapshot_at(actor: Actor, product_id: UUID, publish_id: UUID) -> Snapshot:
    """The snapshot of the publish, if it is one of that product. Raises NotFound."""
    snapshot = snapshot_of(actor, publish_id)
    if snapshot.publish.product_id != product_id:
        raise NotFound
    return snapshot


def detail_page(
    request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID, *, problem: Problem | None = None
) -> HttpResponse:
    """The whole page, with a refusal at its top if there is one."""
    snapshot = snapshot_at(actor, product_id, publish_id)
    deployed = deployed_of(snapshot.publish)
    context = status_context(actor, snapshot) | carried_context(snapshot.publish, deployed)
    context |= {
        "history": history_of(snapshot.publish, number=page_number(request, "history")),
        "curl": command_of(snapshot, deployed),
        "problem": problem,
    }
    return render(
        request, "publishes/publish/detail.html", context, status=problem.status if problem else 200
    )


def deployed_of(publish: ProductPublish) -> Spec | None:
    """The spec that is live, as it was sent; None when none is. One query."""
    return selectors.deployed_spec_of(publish) if publish.status == Status.PUBLISHED else None


def carried_context(publish: ProductPublish, deployed: Spec | None) -> dict[str, Any]:
    """The services that are live, or that a publish would deploy now, and those it would leave out."""
    selection = spec.select(publish.product)
    planned = spec.services_of(selection)
    carried = deployed.services if deployed else planned
    return {"services": carried, "left_out": selection.left_out, "has_moved_on": carried != planned}


def command_of(snapshot: Snapshot, deployed: Spec | None, *, key: str = "") -> curl.Command | None:
    """The curl command, with a key that was just made; None when nothing is live."""
    return curl.command(snapshot, deployed.services, key=key) if deployed else None


def page_number(request: HttpRequest, name: str) -> int:
    """The page number in the URL's parameter; 1 when it is no number."""
    return whole_number(request.GET.get(name, ""), most=LAST_PAGE) or 1


def status_context(actor: Actor, snapshot: Snapshot) -> dict[str, Any]:
    """What the status fragment and the agent board show, and how often they poll."""
    poll_ms = _poll_ms(snapshot)
    actions = allowed.permissions(actor, snapshot)
    return {
        "snapshot": snapshot,
        "publish": snapshot.publish,
        "product": snapshot.publish.product,
        "actor": actor,
        "poll_ms": poll_ms,
        "rest_ms": REST_MS,
        "version": version_of(snapshot.version, poll_ms, [(name, actions[name].code) for name in actions]),
        "actions": actions,
    }


def _poll_ms(snapshot: Snapshot) -> int:
    """How often the browser polls, by the age of the open operation; 0 when none is open."""
    open_operations = [
        operation
        for operation in (snapshot.following, snapshot.operation)
        if operation is not None and operation.is_open
    ]
    if not open_operations:
        return 0
    age_s = (timezone.now() - open_operations[0].created_at).total_seconds()
    return next((ms for limit_s, ms in POLL_MS if age_s < limit_s), POLL_SLOW_MS)


def status_fragment(request: HttpRequest, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """The status, the agent board out of band, and the event that makes the history be fetched again."""
    response = render(request, "publishes/publish/_live.html", context | {"with_board": True}, status=status)
    return trigger_client_event(response, "history-changed", after="settle")


def answer_deleted(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID, /) -> HttpResponse:
    """A part whose publish was deleted leads to the product. Raises NotFound when there was none."""
    selectors.tombstone_of(actor, publish_id)
    return to_product(request, product_id)


def to_product(request: HttpRequest, product_id: UUID) -> HttpResponse:
    """To the page of the product, with a toast that its publish was deleted."""
    _toast_once(request, _("The publish was deleted"))
    url = reverse("products:detail", args=[product_id])
    return HttpResponseClientRedirect(url) if is_htmx(request) else redirect(url)


def _toast_once(request: HttpRequest, text: str) -> None:
    """A toast for the next page, unless it waits already: a second poll may come before that page."""
    waiting = messages.get_messages(request)
    if all(message.message != text for message in waiting):
        messages.success(request, text)
    if isinstance(waiting, BaseStorage):
        waiting.used = False
