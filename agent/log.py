"""The agent's log: lines on stderr, readable on a terminal and JSON elsewhere.

Callers log ids and reasons, never secrets or whole specs.

Logging never raises and never waits: a closed pipe, a full disk or a stalled reader costs lines, not the
thread that logs.
"""

import logging
import queue
import sys
import threading
from typing import TextIO, cast

import structlog

WAITING = 10_000
"""Lines that may wait for a slow reader; later ones are dropped and counted."""


class Lines:
    """The stream of structlog and logging: a thread of its own writes to the real one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting: queue.Queue[str | None] = queue.Queue(WAITING)
        self._dropped = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def write(self, text: str) -> int:
        """Hand on; drop when too much waits. Never raises, never blocks."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
        self._put(text)
        return len(text)

    def flush(self) -> None:
        """Nothing: each line is flushed as it is written."""

    def close(self, *, timeout_s: float) -> None:
        """Wait until everything is written, at most `timeout_s` seconds."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread:
            self._put(None)
            thread.join(timeout_s)

    def _put(self, text: str | None) -> None:
        try:
            self._waiting.put_nowait(text)
        except queue.Full:
            self._dropped += 1

    def _run(self) -> None:
        while (text := self._waiting.get()) is not None:
            try:
                if dropped := self._dropped:
                    self._stream.write(
                        f'{{"level": "warning", "event": "lines_dropped", "count": {dropped}}}\n'
                    )
                    self._dropped -= dropped
                self._stream.write(text)
                self._stream.flush()
            except (
                OSError,
                ValueError,
            ):  # its disk is full, it is closed, or the text is not in its alphabet
                self._dropped += 1


def configure() -> Lines:
    """Send all log lines to stderr; waitress and other libraries only from WARNING up."""
    lines = Lines(sys.stderr)
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, lines)),
    )
    logging.basicConfig(
        level=logging.WARNING,
        stream=lines,
        format='{"level": "%(levelname)s", "logger": "%(name)s", "event": "%(message)s"}',
    )
    return lines
