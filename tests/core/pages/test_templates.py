"""Templates are indented for people, and pages do not weigh more for it."""

from pathlib import Path

import pytest
from django.template import Context, Engine

WRITTEN = """\
{% load i18n %}
{# what it is #}
<p>
  {% if yes %}
    <b>{{ yes }}</b>
  {% else %}
    <i>no</i>
  {% endif %}
  {% if yes %}<u>1</u>{% endif %}
  {% if yes %}<u>2</u>{% endif %}
</p>
<textarea>
{{ text }}</textarea>
"""


def shown(folder: Path, **names: str) -> str:
    (folder / "page.html").write_text(WRITTEN)
    engine = Engine(
        dirs=[str(folder)],
        loaders=["core.pages.templates.Loader"],
        libraries={"i18n": "django.templatetags.i18n"},
    )
    return engine.get_template("page.html").render(Context(names))


def test_indentation_and_lines_of_control_are_not_sent(tmp_path: Path) -> None:
    page = shown(tmp_path, yes="yes", text="  as\n    written")
    assert page.startswith("<p>\n<b>yes</b>\n<u>1</u>\n<u>2</u>\n</p>\n")


@pytest.mark.parametrize("yes", ["yes", ""])
def test_between_what_is_shown_a_line_break_stays(tmp_path: Path, yes: str) -> None:
    page = shown(tmp_path, yes=yes, text="")
    assert page.split("</p>")[0].split() == (
        ["<p>", "<b>yes</b>", "<u>1</u>", "<u>2</u>"] if yes else ["<p>", "<i>no</i>"]
    )


def test_what_a_page_is_given_stays_as_it_is(tmp_path: Path) -> None:
    assert "<textarea>\n  as\n    written</textarea>" in shown(tmp_path, yes="", text="  as\n    written")
