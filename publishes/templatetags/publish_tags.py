"""Template tags of publishes; pages of lower apps show publishes through these."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django import template
from django.core.paginator import Paginator
from django.template.context import Context
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from agent.protocol.spec import Upstream
from core.pages import lists
from core.templatetags.ui import badge, symbol
from gateways.models import Gateway
from products.models import ApiService, Product
from publishes.choices import ENDED_EVENTS, Condition, Environment, EventKind, Kind, Phase, Status
from publishes.models import Operation, ProductPublish, PublishEvent
from publishes.reading.callers import access
from publishes.reading.detail.agents import AgentRow
from publishes.reading.facts.places import ClusterCard
from publishes.reading.lists import carriers, environments, first_run, listing
from publishes.reading.texts import labels, sentences
from tenants.actors import Actor

register = template.Library()

_TONES = {Status.DRAFT: "grey", Status.PUBLISHED: "green", Status.WITHDRAWN: "amber"}
_EVENTS = {
    EventKind.CREATED: ("file-plus", "grey"),
    EventKind.UPDATED: ("sliders-horizontal", "grey"),
    EventKind.PUBLISH_REQUESTED: ("send", "blue"),
    EventKind.WITHDRAW_REQUESTED: ("send", "blue"),
    EventKind.DELETE_REQUESTED: ("send", "blue"),
    EventKind.PUBLISHED: ("rocket", "green"),
    EventKind.WITHDRAWN: ("ban", "amber"),
    EventKind.DELETED: ("trash-2", "grey"),
    EventKind.FAILED: ("triangle-alert", "red"),
    EventKind.CANCELLED: ("circle-slash", "grey"),
    EventKind.GOING_BACK: ("undo-2", "violet"),
    EventKind.WENT_BACK: ("undo-2", "violet"),
    EventKind.FROZEN: ("snowflake", "amber"),
    EventKind.ADOPTED: ("stamp", "blue"),
    EventKind.IN_STEP: ("check-check", "green"),
    EventKind.KEY_MADE: ("key-round", "grey"),
    EventKind.KEY_ROTATED: ("key-round", "grey"),
    EventKind.KEY_OFF: ("key-round", "amber"),
    EventKind.KEY_EXPIRED: ("key-round", "amber"),
    EventKind.ISSUER_CHANGED: ("key-round", "grey"),
    EventKind.SYNC_REQUESTED: ("refresh-cw", "blue"),
    EventKind.SYNCED: ("refresh-cw", "green"),
}

_COMPARED = frozenset(ENDED_EVENTS) - {EventKind.DELETED, EventKind.SYNCED}

register.filter("board_sentence", sentences.board_sentence)
register.filter("progress", sentences.progress)
register.filter("announcement", sentences.announcement)
register.filter("outcome", sentences.outcome)
register.filter("ended", sentences.ended)
register.filter("withdrawn_sentence", sentences.withdrawn_sentence)
register.filter("silence_sentence", sentences.silence_sentence)
register.filter("silent_agents", sentences.silent_agents)


@register.inclusion_tag("publishes/board/_board.html")
def publish_board(actor: Actor, product: Product) -> dict[str, Any]:
    """배포 현황: the product's publishes by environment. One query."""
    return {"actor": actor, "product": product, "board": environments.board_of(actor, product)}


@register.simple_tag
def first_steps(actor: Actor) -> SafeString:
    """The way to the first publish; empty after it. Its next step is the page's primary action. One query."""
    steps = first_run.steps_to_first_publish(actor)
    current = next((step for step in steps if not step.is_done), None)
    context = {"steps": steps, "current": current, "done": sum(step.is_done for step in steps)}
    return render_to_string("publishes/board/_first_steps.html", context) if steps else SafeString("")


@register.inclusion_tag("publishes/keys/_auth.html", takes_context=True)
def publish_auth(context: Context, publish: ProductPublish) -> dict[str, Any]:
    """The credentials of callers: keys, or the issuer of tokens. Three queries at most, none without auth."""
    return access.auth_context(publish) | {
        "actions": context["actions"],
        "publish": publish,
        "product": publish.product,
        "csrf_token": context.get("csrf_token"),
    }


@register.simple_tag
def with_environments(actor: Actor, products: Sequence[Product]) -> list[tuple[Product, list[str]]]:
    """The products, each with the heads of the environments where it is live. One query."""
    published = environments.published_environments(actor, products)
    return [
        (product, [environments.COLUMN_TITLES[env] for env in published.get(product.pk, [])])
        for product in products
    ]


@register.simple_tag
def upstream_check_url(upstream: str) -> str:
    """The URL for a page that asks which clusters let an upstream through."""
    return f"{reverse('upstream-check')}?{urlencode({'url': upstream})}"


@register.inclusion_tag("publishes/board/_carriers.html")
def service_carriers(service: ApiService) -> dict[str, Any]:
    """Which publishes carry which version of an API service. Two queries."""
    return {"carriers": carriers.carriers_of(service)}


@register.inclusion_tag("publishes/board/_of_gateway.html", takes_context=True)
def gateway_publishes(context: Context, actor: Actor, gateway: Gateway) -> dict[str, Any]:
    """사용 중인 배포 (A76): the publishes of a gateway, 25 per page. Two queries."""
    rows = environments.with_progress(
        listing.matching(actor, listing.Filters(gateway=gateway.pk)).select_related("product", "cluster")
    )
    page = Paginator(rows.order_by("product__name", "environment", "cluster__name"), lists.PER_PAGE).get_page(
        context["request"].GET.get("page")
    )
    return {"page": page}


@register.simple_tag
def status_badge(publish: ProductPublish, extra: str = "") -> SafeString:
    """● PUBLISHED. The dot is hollow for a draft."""
    hollow = "hollow" if publish.status == Status.DRAFT else ""
    return badge(publish.status, _TONES[Status(publish.status)], f"{hollow} {extra}")


@register.simple_tag
def progress_badge(publish: ProductPublish) -> SafeString:
    """배포 중 or 실패 beside the status on the board of a product, for rows of `with_progress`."""
    kind, phase = getattr(publish, "open_kind", None), getattr(publish, "last_phase", None)
    if kind:
        return badge(labels.verb_going_on(Kind(kind)), "blue", "busy")
    return badge(labels.failed_label(), "red") if phase == Phase.FAILED else SafeString("")


@register.simple_tag
def trouble_badges(publish: ProductPublish) -> SafeString:
    """Frozen, and an agent that is not heard of, on the board of a product, for its rows."""
    troubles = {
        Condition.FROZEN: publish.frozen_at is not None,
        Condition.SILENT: getattr(publish, "is_silent", False),
    }
    badges = (
        badge(str(condition.label), labels.CONDITION_TONES[condition], "hollow")
        for condition, is_met in troubles.items()
        if is_met
    )
    return format_html_join(" ", "{}", ((html,) for html in badges))


@register.simple_tag
def column_title(environment: str) -> str:
    """DEV, STAGING or PROD."""
    return environments.COLUMN_TITLES[Environment(environment)]


@register.simple_tag
def status_text(publish: ProductPublish) -> SafeString:
    """The status as a dot and a text, lighter than a badge: for lists."""
    return format_html('<i class="tone-{}">{}</i>', _TONES[Status(publish.status)], publish.status)


@register.simple_tag
def condition_labels(publish: ProductPublish) -> SafeString:
    """The conditions of a row of `listing.with_conditions`, each as a dot and a label."""
    labelled = (
        (labels.condition_label(publish, condition), labels.CONDITION_TONES[condition])
        for condition in listing.conditions_of(publish)
    )
    return format_html_join("", '<i class="tone-{1}">{0}</i>', labelled)


@register.simple_tag
def cluster_badge(card: ClusterCard) -> SafeString:
    """● Active: whether the cluster can be published to."""
    text, tone = labels.cluster_label(card)
    return badge(text, tone, "" if tone == "green" else "hollow")


@register.simple_tag
def event_label(event: PublishEvent) -> str:
    """The event of a line of history."""
    return labels.event_label(EventKind(event.kind))


@register.filter
def has_changes(event: PublishEvent) -> bool:
    """Whether a line of history tells the end of a generation that can be compared with the one before."""
    return event.kind in _COMPARED and event.operation is not None and event.operation.generation > 1


@register.filter
def ended_operation(event: PublishEvent) -> Operation | None:
    """The operation whose end a line of history tells; None for all other lines."""
    return event.operation if event.kind in ENDED_EVENTS else None


@register.simple_tag
def step_badge(row: AgentRow, publish: ProductPublish) -> SafeString:
    """How far an agent is."""
    text, tone = sentences.step_of(row, publish)
    return badge(text, tone, "busy" if row.is_open and tone == "blue" else "")


@register.simple_tag
def event_symbols(events: Sequence[PublishEvent]) -> SafeString:
    """The drawings that the lines of a history use, each once."""
    pictures = sorted({event_icon(event.kind) for event in events})
    return format_html_join("", "{}", ((symbol(picture),) for picture in pictures))


@register.simple_tag
def event_icon(kind: str) -> str:
    """The picture of a line of history."""
    return _EVENTS[EventKind(kind)][0]


@register.simple_tag
def event_tone(kind: str) -> str:
    """The tone of a line of history."""
    return _EVENTS[EventKind(kind)][1]


@register.filter
def address(upstream: Upstream) -> str:
    """`host:port` and path, as people write it."""
    return f"{upstream.host}:{upstream.port}{upstream.path}"


@register.simple_tag
def stored_text(text: str) -> SafeString:
    """A stored sentence: ours in the reader's language, an agent's (in English) marked as such."""
    translation = sentences.translated(text)
    is_an_agents = translation == text and text.isascii() and get_language() != "en"
    return format_html('<span lang="en">{}</span>', text) if is_an_agents else format_html("{}", translation)
