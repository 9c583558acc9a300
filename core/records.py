"""The base of stored records: a UUID and two times."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from django.db import IntegrityError, models, transaction
from django.utils.translation import gettext_lazy as _

from core.problems import ChangedMeanwhile, Invalid, Text

FREE_AT_ONCE = 1_000
M = TypeVar("M", bound=models.Model)


class Record(models.Model):
    """What every record has. Ids are random, so that they tell nothing and cannot be counted through."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(_("made at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed at"), auto_now=True)

    class Meta:
        abstract = True


@contextmanager
def free_of(rows: models.QuerySet[M]) -> Iterator[models.QuerySet[M]]:
    """Of these rows the ones that nobody has locked, locked in one order for all until the block ends: never waits, never a deadlock.

    For changes that are made anew at every turn: what was locked has its turn later. At most 1,000 rows at once. One query.
    """
    with transaction.atomic(savepoint=False):
        chosen = rows.model._default_manager.filter(pk__in=rows.order_by().values("pk"))
        free = (
            chosen.order_by("pk")
            .select_for_update(no_key=True, skip_locked=True)
            .values_list("pk", flat=True)[:FREE_AT_ONCE]
        )
        yield rows.model._default_manager.filter(pk__in=list(free))


def save_named(record: Record, *, columns: Sequence[str] = (), taken: Text) -> None:
    """Write these columns of a record, or insert it when none are named. Raises Invalid (`taken` says why) when another one has its name."""
    try:
        with transaction.atomic():
            record.save(update_fields=[*columns, "updated_at"]) if columns else record.save(force_insert=True)
    except IntegrityError as problem:  # two people were equally fast; the form has looked before
        raise Invalid(fields={"name": [taken]}) from problem


def write_locked(rows: Sequence[Record], columns: Sequence[str]) -> None:
    """Write these columns of rows that the caller's transaction has locked. One query, none for no rows.

    As an insert that meets the row: Django builds a `bulk_update` of a thousand rows in ten seconds.
    """
    if not rows:
        return
    made_at = [row.created_at for row in rows]
    type(rows[0])._default_manager.bulk_create(
        rows, update_conflicts=True, unique_fields=["id"], update_fields=[*columns, "updated_at"]
    )
    for row, created_at in zip(rows, made_at, strict=True):
        row.created_at = created_at  # the insert that did not come to be has set it anew


def refuse_if_changed(record: Record, *, seen: datetime | None) -> None:
    """Raises ChangedMeanwhile when a locked record is not the one that was seen (None: whatever it is)."""
    if seen is not None and seen != record.updated_at:
        raise ChangedMeanwhile


def seen_of(posted: Mapping[str, str]) -> datetime | None:
    """Which state of a record a form was filled in for: its `updated_at`, in the hidden field `seen`."""
    try:
        return datetime.fromisoformat(posted.get("seen", ""))
    except ValueError:
        return None
