"""`manage.py rotate_secrets`: encrypts every stored secret anew with the first key of the ring, so that the other keys can be thrown away."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import models

from core.secrets import CiphertextField, SecretLost, decrypt, encrypt, is_current


class Command(BaseCommand):
    """Safe to run again and while everything runs: a row that changes in between is left to the next run."""

    help = "Encrypt all stored secrets anew with the first key of ENCRYPTION_KEYS."

    def handle(self, **_options: Any) -> None:
        """Prints how many there are. Raises CommandError when some cannot be read: their keys must stay in the ring."""
        renewed = current = lost = 0
        for model, column in _columns():
            for row in model._default_manager.exclude(**{column: ""}).only("pk", column).iterator():
                try:
                    renewed, current = (renewed, current + 1) if is_current(getattr(row, column)) else (renewed + _renew(row, column), current)
                except SecretLost as problem:
                    lost += 1
                    self.stderr.write(f"{model._meta.label} {row.pk}: {problem}")
        self.stdout.write(f"{renewed} encrypted anew, {current} were already.")
        if lost:
            raise CommandError(f"{lost} cannot be read. Put their key back into ENCRYPTION_KEYS.")


def _columns() -> Iterator[tuple[type[models.Model], str]]:
    for model in apps.get_models():
        yield from ((model, field.name) for field in model._meta.fields if isinstance(field, CiphertextField))


def _renew(row: models.Model, column: str) -> int:
    place = {"table": row._meta.db_table, "row": row.pk, "column": column}
    old = getattr(row, column)
    new = encrypt(decrypt(old, **place), **place)
    return type(row)._default_manager.filter(pk=row.pk, **{column: old}).update(**{column: new})
