"""The Celery app.

Messages are wake-ups only: the rows in PostgreSQL are the truth, the sweep the guarantee.
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("imp_gateway")
app.set_default()  # for every thread of this process: the outbox must not import the wiring
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
