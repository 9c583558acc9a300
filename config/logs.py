"""Structured logging: one line per event on stderr, with the request's id; no secrets, no whole specs."""

import logging
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import structlog
from django.http import HttpRequest
from django_structlog.middlewares import RequestMiddleware
from structlog.typing import EventDict

from agent.protocol.messages import PATH_HEARTBEAT

_HEARTBEAT = f"POST {PATH_HEARTBEAT}"
_MINUTE_S = 60

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


class HeartbeatCount:
    """A structlog processor: heartbeats that were answered are one line a minute with their number.

    Two lines for each would be gigabytes a day for a thousand agents, and hide the rest. A heartbeat that was
    not answered 200 has its line as every request. Counts are those of one process; what came after its last
    line is lost when it ends.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._answered, self._since = 0, clock()

    def __call__(self, _logger: Any, _method: str, line: EventDict) -> EventDict:
        """The line, the minute's line in its place, or structlog.DropEvent."""
        if line.get("request") != _HEARTBEAT:
            return line
        if line["event"] == "request_started":
            raise structlog.DropEvent
        if line["event"] == "request_finished" and line.get("code") == HTTPStatus.OK:
            return self._counted(line)
        return line

    def _counted(self, line: EventDict) -> EventDict:
        with self._lock:
            self._answered += 1
            count, seconds = self._answered, self._clock() - self._since
            if seconds < _MINUTE_S:
                raise structlog.DropEvent
            self._answered, self._since = 0, self._since + seconds
        fields = {name: line[name] for name in ("timestamp", "level", "logger")}
        return {"event": "heartbeats_answered", "count": count, "seconds": round(seconds), **fields}


HEARTBEATS = HeartbeatCount()

STRUCTLOG: dict[str, Any] = {
    "processors": [
        structlog.stdlib.filter_by_level,
        *_SHARED,
        HEARTBEATS,
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
