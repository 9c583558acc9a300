"""The base of stored records: a UUID and two times."""

import uuid

from django.db import models


class Record(models.Model):
    """What every record has. Ids are random, so that they tell nothing and cannot be counted through."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
