"""Celery tasks: each parses its argument and calls one function.

The names of the tasks stand in `outbox` and the beat schedule.
"""

from uuid import UUID

from celery import shared_task
from django.db import close_old_connections

from core import pulse
from publishes import sweeping
from publishes.callers import issuers
from publishes.engine import delivery


@shared_task(name="publishes.deliver")
def deliver(agent_id: str) -> None:
    """Send what is due for one agent."""
    close_old_connections()
    delivery.deliver(UUID(agent_id))


@shared_task(name="publishes.sweep")
def sweep() -> None:
    """Find what no wake-up reached. Only a sweep that has finished is a sign of life."""
    close_old_connections()
    sweeping.sweep()
    pulse.beat()


@shared_task(name="publishes.tidy")
def tidy() -> None:
    """Forget what has expired."""
    close_old_connections()
    sweeping.tidy()


@shared_task(name="publishes.refresh_issuers")
def refresh_issuers() -> None:
    """Ask the issuers of tokens for their keys again."""
    close_old_connections()
    issuers.refresh_all()
