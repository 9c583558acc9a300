"""A hole between two parts: forwards bytes, and does to it what networks do.

Switched at run time, by the test that holds it.
"""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

CHUNK = 65_536


@dataclass(frozen=True, kw_only=True)
class Weather:
    """What happens to what passes. The first that applies counts, in this order."""

    refuses: bool = False  # nobody listens
    resets: bool = False  # taken, and reset at once
    swallows: bool = False  # taken, and nothing comes out on either side
    mute: bool = False  # what is asked arrives, the answers are lost
    cut_after: int | None = None  # the connection is reset after that many bytes of answers
    instead: bytes | None = None  # this is answered, the other side hears nothing
    latency_s: float = 0.0  # each chunk is late, in both directions


FAIR = Weather()


@dataclass(eq=False)
class Hole:
    """One listening port that leads to another one, or to a Unix socket."""

    name: str
    target: int | Path
    """A port of this machine, or a Unix socket."""
    weather: Weather = FAIR
    port: int = 0
    passed: int = 0
    _pairs: set[tuple[socket.socket, socket.socket | None]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _listener: socket.socket | None = None

    def open(self) -> "Hole":
        """Listen, always on the same port."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(256)
        self.port, self._listener = listener.getsockname()[1], listener
        threading.Thread(target=self._accept, args=(listener,), name=f"hole-{self.name}", daemon=True).start()
        return self

    def close(self) -> None:
        """Stop listening, and reset what is open."""
        if self._listener:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.reset_all()

    @contextmanager
    def having(self, **weather: object) -> Iterator[None]:
        """Bad weather for a while, for connections that are open already too.

        `refuses` and `resets` end those.
        """
        self.weather = replace(FAIR, **weather)  # type: ignore[arg-type]
        if self.weather.refuses:
            self.close()
        elif self.weather.resets:
            self.reset_all()
        try:
            yield
        finally:
            self.weather = FAIR
            self.reset_all()  # whoever waits for what was swallowed would wait for ever
            if not self._listener:
                self.open()

    def reset_all(self) -> None:
        """Reset every connection that is open."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for connection in pair:
                _reset(connection)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _address = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        weather = self.weather
        if weather.resets:
            return _reset(near)
        try:
            far = self._connect()
        except OSError:
            return _reset(near)
        far.settimeout(None)
        with self._lock:
            self._pairs.add((near, far))
        threading.Thread(target=self._pump, args=(near, far), kwargs={"answers": False}, daemon=True).start()
        return self._pump(far, near, answers=True)

    def _connect(self) -> socket.socket:
        if isinstance(self.target, int):
            return socket.create_connection(("127.0.0.1", self.target), timeout=5)
        far = socket.socket(socket.AF_UNIX)
        far.connect(str(self.target))
        return far

    def _pump(self, source: socket.socket, sink: socket.socket, *, answers: bool) -> None:
        passed = 0
        with suppress(OSError):
            while chunk := source.recv(CHUNK):
                weather = self.weather
                if weather.latency_s:
                    time.sleep(weather.latency_s)
                if weather.swallows or (weather.mute and answers):
                    continue
                if weather.instead is not None:
                    if not answers:
                        source.sendall(weather.instead)
                        _end(source)
                    continue
                if weather.cut_after is not None and answers and passed + len(chunk) > weather.cut_after:
                    sink.sendall(chunk[: weather.cut_after - passed])
                    _reset(sink)
                    return
                sink.sendall(chunk)
                passed += len(chunk)
                self.passed += len(chunk)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)


def _reset(connection: socket.socket | None) -> None:
    """RST instead of FIN."""
    if connection is None:
        return
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RD)  # wakes a thread that reads from it
    with suppress(OSError):
        connection.close()
