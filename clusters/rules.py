"""Validators of the names and networks of clusters and agents."""

import ipaddress

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

from fence import PUBLIC, is_metadata

NAME = RegexValidator(
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z",
    _("Lowercase letters, digits and hyphens; starts and ends with a letter or digit."),
)
SUFFIX = RegexValidator(
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z",
    _("A DNS suffix such as api.example.com, without a leading dot."),
)


def validate_network(text: str) -> None:
    """A CIDR network such as 10.0.0.0/8 that may be opened. Raises ValidationError."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError as problem:
        raise ValidationError(
            _("%(text)s is not a network such as 10.0.0.0/8."), params={"text": text}
        ) from problem
    if is_metadata(network):
        raise ValidationError(
            _("%(text)s is a cloud's metadata address. It is never an upstream."), params={"text": text}
        )


def public_networks() -> list[str]:
    """The default networks: public addresses only."""
    return list(PUBLIC)
