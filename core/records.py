"""The bases of stored records: a UUID and two times, and for what people edit the number of its revision."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from django.db import IntegrityError, models, transaction
from django.utils.translation import gettext_lazy as _

from core.problems import ChangedMeanwhile, Invalid, Text

FREE_AT_ONCE = 1_000
M = TypeVar("M", bound=models.Model)


class Record(models.Model):
    """The columns of every record. Ids are random: they tell nothing and cannot be guessed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(_("made at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed at"), auto_now=True)

    class Meta:
        abstract = True


class Edited(Record):
    """A record that people edit. `revision` counts their edits, also of rows that belong to the record.

    It is the optimistic lock of an edit: agents, sweeps and verbs change the record without counting.
    """

    revision = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        abstract = True


@contextmanager
def free_of(rows: models.QuerySet[M]) -> Iterator[models.QuerySet[M]]:
    """Lock those of the rows that nobody has locked, until the block ends: never waits, never a deadlock.

    For changes that come again at every turn: a skipped row is changed later. At most 1,000 rows. One query.
    """
    with transaction.atomic(savepoint=False):
        chosen = rows.model._default_manager.filter(pk__in=rows.order_by().values("pk"))
        free = (
            chosen.order_by("pk")
            .select_for_update(no_key=True, skip_locked=True)
            .values_list("pk", flat=True)[:FREE_AT_ONCE]
        )
        yield rows.model._default_manager.filter(pk__in=list(free))


def in_order(rows: models.QuerySet[M]) -> models.QuerySet[M]:
    """The same rows, for an update that locks them by order of id before it writes: waits, never a deadlock.

    A row may change while the update waits, so conditions have to stand on the result too. Adds no query.
    """
    everything = rows.model._default_manager
    chosen = everything.filter(pk__in=rows.order_by().values("pk")).order_by("pk")
    return everything.filter(pk__in=chosen.select_for_update(no_key=True).values("pk"))


def save_edit(record: Edited, *, columns: Sequence[str] = ()) -> None:
    """Write these columns of a locked record with its next revision: the one way to save an edit."""
    record.revision += 1
    record.save(update_fields=[*columns, "revision", "updated_at"])


def save_named(record: Edited, *, columns: Sequence[str] = (), name_taken: Text) -> None:
    """Save an edit of these columns, or insert the record when none are named.

    Raises Invalid (`name_taken` says why) when another one has its name.
    """
    try:
        with transaction.atomic():
            save_edit(record, columns=columns) if columns else record.save(force_insert=True)
    except IntegrityError as problem:  # two people were equally fast; the form has looked before
        raise Invalid(fields={"name": [name_taken]}) from problem


def write_locked(rows: Sequence[Record], columns: Sequence[str]) -> None:
    """Write these columns of rows that the caller's transaction has locked. One query, none for no rows.

    As an insert that meets the row: Django builds a `bulk_update` of a thousand rows in ten seconds.
    """
    if not rows:
        return
    creation_times = [row.created_at for row in rows]
    type(rows[0])._default_manager.bulk_create(
        rows, update_conflicts=True, unique_fields=["id"], update_fields=[*columns, "updated_at"]
    )
    for row, created_at in zip(rows, creation_times, strict=True):
        row.created_at = created_at  # the insert that did not come to be has set it anew


def refuse_if_changed(record: Edited, *, revision: int | None) -> None:
    """Raises ChangedMeanwhile when a locked record is at another revision than the given one (None: any)."""
    if revision is not None and revision != record.revision:
        raise ChangedMeanwhile


def revision_of(posted: Mapping[str, str]) -> int | None:
    """Which revision of a record a form was filled in for, by its hidden field; None when it does not say."""
    try:
        return int(posted.get("revision", ""))
    except ValueError:
        return None
