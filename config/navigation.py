"""The links of the main navigation, in their order. The setting NAVIGATION names them."""

from django.utils.translation import gettext_lazy as _

from core.pages.navigation import NavigationEntry

ENTRIES = (
    NavigationEntry(name="products:list", picture="package", text=_("Products")),
    NavigationEntry(name="overview:list", picture="rocket", text=_("Overview")),
    NavigationEntry(name="services:list", picture="plug", text=_("API services")),
    NavigationEntry(name="gateways:list", picture="network", text=_("Gateways")),
    NavigationEntry(name="clusters:list", picture="server", text=_("Clusters")),
)
