"""The control plane of one Envoy: delta xDS over a Unix socket. Only this module speaks gRPC.

Level-triggered: `want` says what Envoy should have, each connected Envoy is sent what it lacks, and `wait`
tells when it has it. An Envoy says at its connection what it runs, so that an agent that comes back sends the
difference alone.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path
from uuid import UUID

import grpc
import structlog
from envoy.service.discovery.v3 import ads_pb2_grpc
from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
)

from agent.drivers.base import ShownState
from agent.drivers.envoy.entries import Entry, Key
from agent.drivers.envoy.messages import Kind
from agent.drivers.envoy.stream import Change, Refusal, Stream

STREAMS_AT_ONCE = 4
"""Envoys that may be connected: more than one only while a new one takes over from an old one."""

MESSAGE_BYTES = 64 * 1024 * 1024
"""An Envoy that comes back names all that it runs in one message, and quotes what it refuses."""

STOP_S = 0.2
RECONNECT_S = 1.0
"""Seconds in which a running Envoy finds an agent that has started again."""

log = structlog.get_logger()


class NotConnected(Exception):
    """No Envoy asks this agent for its configuration."""


# The base class comes without types.
class Discovery(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):  # type: ignore[misc]
    """The server. All methods may be called by any thread."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._desired: dict[Key, Entry | None] = {}
        """None: the resource is to go. What is not named stays as Envoy has it."""
        self._from_disk: set[Key] = set()
        """What was loaded and not asked for since."""
        self._last: list[Change] = []
        self._streams: list[Stream] = []
        self._nonces = count(1)
        self._answered_at = self._started_at = 0.0
        self._changed = threading.Condition()
        self._server: grpc.Server | None = None

    def start(self) -> None:
        """Listen. Raises OSError when the socket cannot be made."""
        # A socket file outlives a killed process; the folder's lock says that nobody listens on it.
        self._socket.unlink(missing_ok=True)
        options = [("grpc.max_receive_message_length", MESSAGE_BYTES), ("grpc.so_reuseport", 0)]
        # One thread for each Envoy, blocked until there is something to send.
        pool = ThreadPoolExecutor(max_workers=STREAMS_AT_ONCE, thread_name_prefix="xds")
        self._server = grpc.server(pool, options=options, maximum_concurrent_rpcs=STREAMS_AT_ONCE)
        ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(self, self._server)
        try:
            self._server.add_insecure_port(f"unix:{self._socket}")
        except RuntimeError as problem:
            raise OSError(f"{self._socket} cannot be listened on") from problem
        self._socket.chmod(0o600)
        self._server.start()
        self._started_at = time.monotonic()

    def stop(self) -> None:
        """Envoy goes on with what it has."""
        if self._server:
            # Each stream's end is told to its answering side.
            self._server.stop(grace=None).wait(STOP_S)
            self._socket.unlink(missing_ok=True)

    def load(self, entries: Iterable[Entry]) -> None:
        """What an Envoy that is started with this agent should have. One that runs already knows better."""
        self._desired.update({entry.key: entry for entry in entries})
        self._from_disk.update(self._desired)

    def want_last(self, change: Change) -> None:
        """What an Envoy gets when it has all else, so that callers never meet a part of it."""
        self._last.append(change)

    def desired(self, key: Key) -> Entry | None:
        """What Envoy should have under this name; None for nothing, or for what it has of somebody else."""
        return self._desired.get(key)

    def restore(self, entries: Mapping[Key, Entry | None]) -> None:
        """Want these again, which Envoy has kept: nothing is sent. None: what it has is not ours to say."""
        with self._changed:
            for key, entry in entries.items():
                if entry:
                    self._desired[key] = entry
                else:
                    self._desired.pop(key, None)

    def want(self, changes: Sequence[Change]) -> None:
        """Have Envoy brought to this, each change by itself."""
        with self._changed:
            for change in changes:
                self._from_disk -= change.keys
                self._desired.update({entry.key: entry for entry in change.upserts})
                self._desired.update({(change.kind, name): None for name in change.removals})
                for stream in self._streams:
                    self._send(stream, change)

    def wait(self, keys: Iterable[Key], *, timeout_s: float) -> dict[Key, str]:
        """Wait until each Envoy has answered to what is wanted under these names.

        Gives, for every name with an answer, the reason of a refusal, "" for none. Names without an answer
        are missing: `timeout_s` seconds went by without any answer. Raises NotConnected.
        """
        started, answers = time.monotonic(), dict[Key, str]()
        with self._changed:
            # Envoy answers in the order in which it was asked.
            for key in keys:
                while (reason := self._answer(key)) is None:
                    waited = time.monotonic() - max(started, self._answered_at)
                    if waited >= timeout_s or not self._changed.wait(timeout_s - waited):
                        break
                if reason is not None:
                    answers[key] = reason
        return answers

    def settle(self, *, timeout_s: float) -> bool:
        """Wait until every connected Envoy has answered to all; False when there is none, or it takes longer.

        One that is not connected is waited for only while this agent has just started.
        """
        return self._wait_for(lambda stream: stream.is_settled, timeout_s)

    def open(self, *, timeout_s: float) -> bool:
        """Wait, as `settle`, until every connected Envoy has answered to all that it was to start with."""
        last = [key for change in self._last for key in change.keys]
        return self._wait_for(lambda stream: stream.is_open and not stream.awaits(last), timeout_s)

    def _wait_for(self, condition: Callable[[Stream], bool], timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not (self._streams and all(condition(stream) for stream in self._streams)):
                until = deadline if self._streams else min(deadline, self._started_at + RECONNECT_S)
                if time.monotonic() >= until:
                    return False
                self._changed.wait(until - time.monotonic())
            return True

    def shown(self) -> Mapping[UUID, ShownState]:
        """What the newest connected Envoy runs of each publish. Raises NotConnected."""
        with self._changed:
            return dict(self._newest().shown)

    def has(self, entry: Entry) -> bool:
        """Whether every connected Envoy runs this version. Raises NotConnected."""
        with self._changed:
            self._newest()
            return all(stream.running.get(entry.key) == entry.version for stream in self._streams)

    def names(self, kind: Kind, publish: UUID) -> tuple[str, ...]:
        """What the newest connected Envoy runs of a publish. Raises NotConnected."""
        with self._changed:
            return tuple(self._newest().names.get((kind, publish), ()))

    def refusals(self, kind: Kind) -> list[str]:
        """What the connected Envoys refuse now."""
        with self._changed:
            refusals = [item for stream in self._streams for item in stream.refusals.items()]
        return [refusal.reason for (refused_kind, _name), refusal in refusals if refused_kind == kind]

    def DeltaAggregatedResources(  # noqa: N802 (the service's name for it)
        self, request_iterator: Iterator[DeltaDiscoveryRequest], context: grpc.ServicerContext
    ) -> Iterator[DeltaDiscoveryResponse]:
        """One Envoy's connection: answers until it leaves."""
        stream = Stream()
        with self._changed:
            self._streams.append(stream)
        context.add_callback(lambda: stream.outbox.put(None))
        threading.Thread(target=self._read, args=(stream, request_iterator), daemon=True).start()
        try:
            while (response := stream.outbox.get()) is not None:
                yield response
        finally:
            with self._changed:
                self._streams.remove(stream)
                self._changed.notify_all()

    def _read(self, stream: Stream, requests: Iterator[DeltaDiscoveryRequest]) -> None:
        # Envoy left, which the answering side hears of too.
        with suppress(grpc.RpcError):
            for request in requests:
                self._hear(stream, request)
        stream.outbox.put(None)

    def _hear(self, stream: Stream, request: DeltaDiscoveryRequest) -> None:
        try:
            kind = Kind(request.type_url)
        except ValueError:
            log.warning("unknown_kind_asked", type_url=request.type_url[:200])
            return
        with self._changed:
            if request.response_nonce:
                self._note(stream, request)
            elif kind not in stream.subscribed:
                self._subscribe(stream, kind, request.initial_resource_versions)
            if stream.is_answered and not stream.is_open:
                self._open(stream)
            self._changed.notify_all()

    def _note(self, stream: Stream, request: DeltaDiscoveryRequest) -> None:
        change = stream.unanswered.pop(request.response_nonce, None)
        if change is None:
            return
        self._answered_at = time.monotonic()
        stream.in_flight -= Counter(change.keys)
        if not request.HasField("error_detail"):
            for entry in change.upserts:
                stream.runs(entry.key, entry.version)
            for name in change.removals:
                stream.runs((change.kind, name), None)
        elif len(change.keys) > 1 and not change.removals:
            # One bad resource among many: each gets a verdict of its own.
            for entry in change.upserts:
                self._send(stream, Change(kind=change.kind, upserts=(entry,)))
        else:
            versions = {entry.key: entry.version for entry in change.upserts}
            for key in change.keys:
                refusal = Refusal(version=versions.get(key), reason=request.error_detail.message)
                stream.refusals[key] = refusal

    def _subscribe(self, stream: Stream, kind: Kind, running: Mapping[str, str]) -> None:
        """Take note of what this Envoy runs already, and send what differs.

        Each scope goes by itself: of several, Envoy keeps the good ones half applied when it refuses one.
        """
        stream.subscribed.add(kind)
        stream.came_back |= bool(running)
        for name, version in running.items():
            stream.runs((kind, name), version)
        entries = [(key, entry) for key, entry in self._desired.items() if key[0] == kind]
        due = [
            entry
            for key, entry in entries
            if entry and stream.lacks(entry, is_from_disk=key in self._from_disk)
        ]
        removals = tuple(key[1] for key, entry in entries if entry is None and key in stream.running)
        if kind == Kind.SCOPE:
            self._send(stream, Change(kind=kind, removals=removals))
            for entry in due:
                self._send(stream, Change(kind=kind, upserts=(entry,)))
        else:
            self._send(stream, Change(kind=kind, upserts=tuple(due), removals=removals))

    def _open(self, stream: Stream) -> None:
        """Send what comes last, now that this Envoy has all else."""
        stream.is_open = True
        for change in self._last:
            if any(stream.running.get(entry.key) != entry.version for entry in change.upserts):
                self._send(stream, change)

    def _send(self, stream: Stream, change: Change) -> None:
        if change.kind not in stream.subscribed:
            return  # it gets all with its first answer
        nonce = str(next(self._nonces))
        stream.unanswered[nonce] = change
        stream.in_flight.update(change.keys)
        stream.outbox.put(change.response(nonce))

    def _answer(self, key: Key) -> str | None:
        """The reason of a refusal, "" when every Envoy runs it, None while one has not answered."""
        entry = self._desired.get(key)
        version = entry.version if entry else None
        if not self._streams:
            raise NotConnected
        for stream in self._streams:
            refusal = stream.refusals.get(key)
            if refusal and refusal.version == version:
                return refusal.reason or "Envoy gave no reason."
            if stream.running.get(key) != version or key in stream.in_flight:
                return None
        return ""

    def _newest(self) -> Stream:
        if not self._streams:
            raise NotConnected
        return self._streams[-1]
