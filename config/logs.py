"""Logging: one line per event on stderr, structured, with the request's id; never a secret and never a whole spec."""

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
    """A line when a request begins and when it ends: the path alone, for what stands behind it may be a provider's code, or what somebody looks for."""

    @staticmethod
    def bind_user_id(request: HttpRequest) -> None:
        """Who it was, when that is known by now: a line in the log asks the database nothing, which may be what is away."""
        user = getattr(
            request, "_cached_user", None
        )  # where AuthenticationMiddleware keeps whom it has loaded
        if user is not None and user.pk is not None:
            structlog.contextvars.bind_contextvars(user_id=str(user.pk))

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        """GET /path."""
        return f"{request.method} {request.path}"


def config(*, level: str) -> dict[str, Any]:
    """Django's LOGGING setting: everything through one structlog formatter, libraries a notch quieter."""
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
