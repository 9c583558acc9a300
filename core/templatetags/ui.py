"""The design's components as template tags: see templates/components/ and static/css/.

Block tags wrap their content: {% section id=… title=… %}…{% endsection %}, {% dialog … %}…{% enddialog %},
{% fact label=… %}…{% endfact %}, {% notice … %}…{% endnotice %}, {% empty_state … %}…{% endempty_state %}.
Components without a tag are included: {% include "components/search.html" %}.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any

from django import template
from django.forms.boundfield import BoundField, BoundWidget
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, ngettext
from lucide.templatetags.lucide import lucide

register = template.Library()

_MINUTE, _HOUR, _DAY, _WEEK = 60, 3_600, 86_400, 604_800
# The order matters: most browsers also send the signs of older ones.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)
_SVG = re.compile(r"<svg[^>]*>")
_SPACE = re.compile(r"(?<=>)\s+(?=<)| (?=/>)")


@register.simple_tag
@cache
def icon(name: str) -> SafeString:
    """A lucide icon, inline. It is decoration: the text beside it must say the same."""
    drawn = lucide(name, size=None).strip()
    return mark_safe(  # noqa: S308
        _SVG.sub('<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">', _SPACE.sub("", drawn))
    )


@register.simple_tag
@cache
def symbol(name: str) -> SafeString:
    """A lucide icon as a symbol for many rows: `<svg class="icon"><use href="#i-NAME"/></svg>`."""
    drawn = _SPACE.sub("", lucide(name, size=None).strip()).removesuffix("</svg>")
    opened = _SVG.sub(f'<symbol id="i-{name}" viewBox="0 0 24 24">', drawn)
    return mark_safe(opened + "</symbol>")  # noqa: S308 - from the package


@register.simple_tag
def badge(text: str, tone: str = "grey", extra: str = "") -> SafeString:
    """A status: a dot and a word.

    Tones: grey, green, amber, blue, red, violet. `extra` takes busy, hollow, large.
    """
    return format_html('<span class="badge tone-{} {}">{}</span>', tone, extra, text)


@register.simple_tag
def ago(value: datetime | None) -> SafeString:
    """How long ago, with the exact time as its title; app.js keeps it fresh."""
    if value is None:
        return SafeString("")
    exact = date_format(timezone.localtime(value), "Y-m-d H:i:s")
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>',
        value.isoformat(timespec="seconds"),
        exact,
        ago_text(value),
    )


@register.simple_tag
def at(value: datetime | None) -> SafeString:
    """The exact time, to the second, in the pages' time zone."""
    if value is None:
        return SafeString("")
    return format_html(
        '<time datetime="{}">{}</time>',
        value.isoformat(timespec="seconds"),
        date_format(timezone.localtime(value), "Y-m-d H:i:s"),
    )


def ago_text(value: datetime) -> str:
    """How long ago in words, the same words as the browser's Intl.RelativeTimeFormat."""
    seconds = max(0, round((timezone.now() - value).total_seconds()))
    if seconds < 1:
        return gettext("now")
    if seconds < _MINUTE:
        return ngettext("%(n)d second ago", "%(n)d seconds ago", seconds) % {"n": seconds}
    if seconds < _HOUR:
        return ngettext("%(n)d minute ago", "%(n)d minutes ago", seconds // _MINUTE) % {
            "n": seconds // _MINUTE
        }
    if seconds < _DAY:
        return ngettext("%(n)d hour ago", "%(n)d hours ago", seconds // _HOUR) % {"n": seconds // _HOUR}
    if seconds < _WEEK:
        return ngettext("%(n)d day ago", "%(n)d days ago", seconds // _DAY) % {"n": seconds // _DAY}
    return date_format(timezone.localtime(value), "Y-m-d")


@register.filter
def seconds(milliseconds: int | None) -> str:
    """Milliseconds as seconds with one digit: 0.8. At least 0.1: 0.0 would look unmeasured."""
    return "" if milliseconds is None else f"{max(0.1, milliseconds / 1000):.1f}"


@register.filter
def device(user_agent: str) -> str:
    """`Firefox · Windows`, to tell one's browsers apart. An unknown browser is shown by its first word."""
    browser = next(
        (name for sign, name in _BROWSERS if sign in user_agent), user_agent.partition("/")[0][:40] or "?"
    )
    system = next((name for sign, name in _SYSTEMS if sign in user_agent), "")
    return " · ".join(part for part in (browser, system) if part)


@register.simple_block_tag
def section(
    content: str,
    *,
    id: str,  # noqa: A002 - the attribute's name
    title: str,
    count: int | None = None,
    extra: str = "",
) -> SafeString:
    """A card with a heading, whose id is `<id>-title`."""
    return _wrapped("section", content, id=id, title=title, count=count, extra=extra)


@register.simple_block_tag
def dialog(content: str, *, id: str, title: str, open: bool = False) -> SafeString:  # noqa: A002 - a template's keyword
    """A modal dialog, opened by data-dialog="<id>".

    Without script the link leads to a page with the same form.
    """
    return _wrapped("dialog", content, id=id, title=title, open=open)


@register.simple_block_tag
def fact(content: str, *, label: str) -> SafeString:
    """One cell of a definition grid: <dl class="facts">{% fact … %}…{% endfact %}</dl>."""
    return _wrapped("fact", content, label=label)


@register.simple_block_tag
def notice(content: str, *, tone: str = "red", title: str = "", role: str = "") -> SafeString:
    """A paragraph in red, amber, blue or violet. role="alert" only where it answers a person's action."""
    return _wrapped("notice", content.strip(), tone=tone, title=title, role=role)


@register.simple_block_tag
def empty_state(
    content: str, *, icon: str, title: str, url: str = "", action: str = "", is_second: object = False
) -> SafeString:
    """Why a list is empty, and a link to an action; `is_second` where the page has another primary action."""
    return _wrapped(
        "empty_state", content.strip(), icon=icon, title=title, url=url, action=action, is_second=is_second
    )


@register.inclusion_tag("components/choice_card.html")
def choice_card(
    radio: BoundWidget, *, title: str = "", note: str = "", aside: str = "", reason: str = ""
) -> dict[str, Any]:
    """A radio as a card in <div class="choices">. `aside` is beside the title; `reason` says why not."""
    shown = {"title": title or radio.choice_label, "note": note, "aside": aside, "reason": reason}
    return {"radio": radio, **shown}


@register.inclusion_tag("components/radio_line.html")
def radio_line(bound: BoundField, *, hint: str = "") -> dict[str, Any]:
    """A choice of few, side by side."""
    return {"field": bound, "hint": hint}


@register.inclusion_tag("components/stepper.html")
def stepper(steps: Iterable[tuple[str, str]], current: int) -> dict[str, Any]:
    """The steps of a wizard as (caption, URL or ""); `current` counts from 0. Earlier steps are done."""
    return {
        "steps": [
            {"caption": caption, "url": url, "is_done": n < current, "is_current": n == current}
            for n, (caption, url) in enumerate(steps)
        ]
    }


@register.inclusion_tag("components/field.html")
def field(bound: BoundField, *, hint: str = "", optional: bool = False) -> dict[str, Any]:
    """Label, input, hint and errors of a form's field, linked for screen readers by aria-describedby."""
    return {"field": bound, "hint": hint or bound.help_text, "optional": optional}


@register.inclusion_tag("components/pager.html")
def pager(page: Any, name: str = "page", query: str = "") -> dict[str, Any]:
    """Links to the previous and next page; `name` is the URL's parameter, `query` its other parameters."""
    return {"page": page, "name": name, "query": query}


def _wrapped(component: str, content: str, **context: object) -> SafeString:
    # simple_block_tag passes content that is already rendered and escaped.
    return render_to_string(f"components/{component}.html", {"content": mark_safe(content), **context})  # noqa: S308
