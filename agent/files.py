"""Files that survive a crash. Only this module writes into the agent's state folder."""

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FileDamaged(Exception):
    """A file is missing or damaged; the text names it and the remedy."""


class CannotWrite(OSError):
    """A file of `size` bytes could not be written; the text names it, the reason and the remedy."""

    def __init__(self, path: Path, problem: OSError, *, size: int) -> None:
        self.path, self.size, self.is_full = path, size, problem.errno in {errno.ENOSPC, errno.EDQUOT}
        advice = (
            "make room there; nothing has to be started anew"
            if self.is_full
            else "see to its disk and its permissions"
        )
        super().__init__(f"The agent cannot write {path} ({problem.strerror or problem}): {advice}.")


class Disk:
    """The last failed write, until as many bytes can be written in its place. For all threads."""

    def __init__(self) -> None:
        self._failed: CannotWrite | None = None

    def note(self, problem: CannotWrite) -> None:
        """Remember a failed write."""
        self._failed = problem

    def trouble(self) -> str:
        """A sentence for the operator on the failed write; "" when all is well."""
        if failed := self._failed:
            try:
                with _beside(failed.path, b" " * failed.size, mode=0o600):
                    pass
            except OSError:
                return str(failed)
            self._failed = None
        return ""


def write_durably(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Replace a file in one step. Raises CannotWrite.

    After a crash the file has the old text or the new one, never a part.
    """
    content = text.encode()
    try:
        with _beside(path, content, mode=mode) as temporary:
            temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as problem:
        raise CannotWrite(path, problem, size=len(content)) from problem


@contextmanager
def _beside(path: Path, content: bytes, *, mode: int) -> Iterator[Path]:
    """A new file beside `path` with this content, synced to the disk. Raises OSError.

    Removed afterwards, unless it was renamed.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            os.fchmod(out.fileno(), mode)
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        yield Path(temporary)
    finally:
        Path(temporary).unlink(missing_ok=True)


def write_json(path: Path, content: object, *, mode: int = 0o600) -> None:
    """`write_durably` for a JSON document."""
    write_durably(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n", mode=mode)


def read_object(path: Path) -> dict[str, object]:
    """The JSON object in a file. Raises FileDamaged with a sentence that names the file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as problem:
        raise FileDamaged(
            f"{path} is missing: the state folder is not that of an enrolled agent, or it is damaged."
        ) from problem
    except (OSError, ValueError) as problem:
        raise FileDamaged(
            f"{path} cannot be read ({problem}): restore it from a backup, or enrol again with --force."
        ) from problem
    if not isinstance(content, dict):
        raise FileDamaged(
            f"{path} does not hold a JSON object: restore it from a backup, or enrol again with --force."
        )
    return content


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
