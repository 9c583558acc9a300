"""Structured logging: one line per event on stderr, with the request's id; no secrets, no whole specs."""

import logging
from typing import Any

import structlog
from django.http import HttpRequest
from django_structlog.middlewares import RequestMiddleware

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]

STRUCTLOG: dict[str, Any] = {
    "processors": [
        structlog.stdlib.filter_by_level,
        *_SHARED,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    "logger_factory": structlog.stdlib.LoggerFactory(),
    "wrapper_class": structlog.stdlib.BoundLogger,
    "cache_logger_on_first_use": True,
}


class RequestLog(RequestMiddleware):
    """Logs the start and end of a request.

    Only the path: a query may hold a provider's code or a search text.
    """

    @staticmethod
    def bind_user_id(request: HttpRequest) -> None:
        """Bind the user if already loaded: logging must not query the database, which may be unavailable."""
        user = getattr(request, "_cached_user", None)  # set by AuthenticationMiddleware
        if user is not None and user.pk is not None:
            structlog.contextvars.bind_contextvars(user_id=str(user.pk))

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        """GET /path."""
        return f"{request.method} {request.path}"


def config(*, level: str) -> dict[str, Any]:
    """Django's LOGGING setting: one structlog formatter; libraries log warnings only."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.JSONRenderer(ensure_ascii=False),
                ],
                "foreign_pre_chain": _SHARED,
            },
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "axes": {"level": logging.WARNING},
            "celery.app.trace": {"level": logging.WARNING},
            "celery.worker.strategy": {"level": logging.WARNING},
            "celery.beat": {"level": logging.WARNING},
            "httpx2": {"level": logging.WARNING},
            "httpcore2": {"level": logging.WARNING},
        },
    }
