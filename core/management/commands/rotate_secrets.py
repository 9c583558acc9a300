"""`manage.py rotate_secrets`: encrypt all stored secrets with the first key, so that old keys can go."""

from collections.abc import Callable, Iterator
from typing import Any

from allauth.mfa import utils as mfa
from allauth.mfa.models import Authenticator
from django.apps import apps
from django.core.management.base import CommandError
from django.db import models
from django.utils.translation import gettext as _

from core.commands import TerminalCommand
from core.security.secrets import CiphertextField, SecretLost, decrypt, encrypt, is_current


class Command(TerminalCommand):
    """Safe to repeat, also while the system runs: a row that changes meanwhile is left to the next run."""

    help = "Encrypt all stored secrets anew with the first key of ENCRYPTION_KEYS."

    def handle(self, **_options: Any) -> None:
        """Prints the counts.

        Raises CommandError when some secrets cannot be read: their keys must stay in the ring.
        """
        renewed = current = lost = 0
        for model, column in _columns():
            for row in model._default_manager.exclude(**{column: ""}).only("pk", column).iterator():
                old = getattr(row, column)
                try:
                    new = _renewed(old, _renewal(row, column))
                except SecretLost as problem:
                    lost += 1
                    self.stderr.write(f"{model._meta.label} {row.pk}: {problem}")
                    continue
                if new == old:
                    current += 1
                else:
                    renewed += model._default_manager.filter(pk=row.pk, **{column: old}).update(
                        **{column: new}
                    )
        self.stdout.write(
            _("%(renewed)d secrets encrypted again, %(current)d were up to date.")
            % {"renewed": renewed, "current": current}
        )
        if lost:
            raise CommandError(
                _("%(n)d secrets cannot be read. Put their key back into ENCRYPTION_KEYS.") % {"n": lost}
            )


def _columns() -> Iterator[tuple[type[models.Model], str]]:
    for model in apps.get_models():
        yield from ((model, field.name) for field in model._meta.fields if isinstance(field, CiphertextField))
    yield Authenticator, "data"


def _renewal(row: models.Model, column: str) -> Callable[[str], str]:
    """A function that encrypts a ciphertext of this place again. The function raises SecretLost."""
    if isinstance(row, Authenticator):  # the library encrypts it through our SecondStepRules
        return lambda text: str(mfa.encrypt(mfa.decrypt(text)))
    place = {"table": row._meta.db_table, "row": row.pk, "column": column}
    return lambda text: encrypt(decrypt(text, **place), **place)


def _renewed(value: Any, renew: Callable[[str], str]) -> Any:
    """A column's value (a ciphertext, or JSON with ciphertexts) encrypted with the first key."""
    if isinstance(value, dict):
        return {key: _renewed(inner, renew) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renewed(inner, renew) for inner in value]
    return renew(value) if isinstance(value, str) and not is_current(value) else value
