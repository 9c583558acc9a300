"""Each form names its workspace, so that it cannot write into another one (checked by `doors.actor_page`)."""

from django import template
from django.template.base import Parser, Token
from django.template.context import Context
from django.template.defaulttags import CsrfTokenNode
from django.utils.html import format_html

register = template.Library()


class FormTokenNode(CsrfTokenNode):
    """Django's field, and a hidden field with the page's workspace, if any."""

    def render(self, context: Context) -> str:
        actor = getattr(getattr(context, "request", None), "actor", None)
        field = super().render(context)
        if actor is None:
            return field
        return field + format_html('<input type="hidden" name="workspace" value="{}">', actor.tenant_id)


@register.tag
def csrf_token(_parser: Parser, _token: Token) -> FormTokenNode:
    """Replaces Django's tag, so that every form has the field."""
    return FormTokenNode()
