"""The main navigation, as the setting NAVIGATION lists it: core names no URL of the apps above."""

from dataclasses import dataclass

from django.utils.functional import Promise


@dataclass(frozen=True, kw_only=True)
class NavigationEntry:
    """A link of the main navigation: URL name, icon, text."""

    name: str
    picture: str
    text: str | Promise
