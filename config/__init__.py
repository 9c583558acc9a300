"""The project's wiring: settings, URLs, Celery, API assembly. Nothing of the domain lives here."""

from config.celery import app

__all__ = ["app"]
