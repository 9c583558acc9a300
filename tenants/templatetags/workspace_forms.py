"""Each form names the workspace that it was made for, so that it writes nothing into another one (`doors.actor_page` looks)."""

from django import template
from django.template.base import Parser, Token
from django.template.context import Context
from django.template.defaulttags import CsrfTokenNode
from django.utils.html import format_html

register = template.Library()


class FormTokenNode(CsrfTokenNode):
    """Django's own field, and beside it the workspace where the page has one."""

    def render(self, context: Context) -> str:
        actor = getattr(getattr(context, "request", None), "actor", None)
        named = (
            format_html('<input type="hidden" name="workspace" value="{}">', actor.tenant_id)
            if actor is not None
            else ""
        )
        return super().render(context) + named


@register.tag
def csrf_token(_parser: Parser, _token: Token) -> FormTokenNode:
    """In place of Django's tag, so that no form can be written without it."""
    return FormTokenNode()
