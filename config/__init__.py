"""The project's wiring: settings, URLs, navigation, Celery, API assembly. Nothing of the domain."""

from config.celery import app

__all__ = ["app"]
