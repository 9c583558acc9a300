"""One xDS file each: read, saved with a version, and believed only while nobody else changes it.

Only this module knows how a version is made and what tells that a file is altered.
"""

import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from agent.drivers.envoy.resources import Resource, version_of
from agent.files import FileDamaged, read_object, write_durably

_Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class Document:
    """One xDS file: its resources and its version.

    `intact` is False when the content does not fit the version.
    """

    resources: tuple[Resource, ...]
    version: str
    intact: bool

    @classmethod
    def of(cls, resources: list[Resource]) -> "Document":
        """A new document.

        Its version is the content's hash and a serial, so no earlier file has the same version.
        """
        return cls(
            resources=tuple(resources), version=f"{version_of(resources)}.{time.time_ns():x}", intact=True
        )

    @classmethod
    def read(cls, path: Path) -> "Document":
        """A file as it is; a damaged one reads as empty and not intact, so that it is rewritten."""
        try:
            content = read_object(path)
        except FileDamaged:
            content = {}
        resources, version = tuple(objects(content.get("resources"))), str(content.get("version_info", ""))
        return cls(
            resources=resources, version=version, intact=version.partition(".")[0] == version_of(resources)
        )

    def says_the_same_as(self, other: "Document") -> bool:
        """True when both would make Envoy the same, whichever versions they say."""
        return (
            self.intact and other.intact and self.version.partition(".")[0] == other.version.partition(".")[0]
        )

    def is_older_than(self, version: str) -> bool:
        """True when that version is newer than this document, as after a restored backup of the file."""
        return _serial(self.version) < _serial(version)

    def save(self, path: Path) -> None:
        """Replace the file, mode 0600 because of its keys; Envoy reads it at the rename."""
        text = json.dumps({"version_info": self.version, "resources": self.resources}, ensure_ascii=False)
        write_durably(path, text + "\n", mode=0o600)


class File:
    """One xDS file as this run of the agent knows it: last written, or found in force.

    A change by somebody else is not believed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own: Document | None = None
        self._stamp: _Stamp | None = None
        self._lock = threading.Lock()

    def document(self) -> Document:
        """The document that this run wrote or trusts; before the first, the file's."""
        return self._own or Document.read(self._path)

    def trust(self, version: str) -> None:
        """Trust the file from now on, if it is intact and Envoy runs this very version."""
        with self._lock:
            if self._own is None:
                stamp, document = _stamp(self._path), Document.read(self._path)
                if document.intact and document.version == version:
                    self._own, self._stamp = document, stamp

    def save(self, document: Document) -> None:
        """Replace it. Raises OSError."""
        with self._lock:
            document.save(self._path)
            self._own, self._stamp = document, _stamp(self._path)

    def is_altered(self) -> bool:
        """Whether the file differs from what the agent knows. Reads nothing while its stamp is unchanged."""
        with self._lock:
            stamp = _stamp(self._path)
            if self._own is None or stamp == self._stamp:
                return False
            document = Document.read(self._path)
            if not document.intact or document.version != self._own.version:
                return True
            self._stamp = stamp
            return False


def objects(value: object) -> list[Resource]:
    """The objects in a list from a file; whatever else stands in it, or is no list, is left out."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _stamp(path: Path) -> _Stamp | None:
    """A stamp that changes with every write of the file; None without a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _serial(version: str) -> int:
    """The time of a version in nanoseconds; 0 for a version of somebody else."""
    try:
        return int(version.partition(".")[2], 16)
    except ValueError:
        return 0
