"""What is right of the names and networks of clusters and agents."""

import ipaddress

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

NAME = RegexValidator(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z", _("Small letters, digits and hyphens; starts and ends with a letter or digit."))
SUFFIX = RegexValidator(
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z", _("A DNS suffix such as api.example.com, without a leading dot.")
)


def validate_network(text: str) -> None:
    """A CIDR network such as 10.0.0.0/8."""
    try:
        ipaddress.ip_network(text)
    except ValueError as problem:
        raise ValidationError(_("%(text)s is not a network such as 10.0.0.0/8."), params={"text": text}) from problem


def ordinary_networks() -> list[str]:
    """The default fence: every ordinary address; loopback, link-local and the like must be named to be allowed."""
    return ["0.0.0.0/0", "::/0"]
