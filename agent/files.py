"""Files that survive a crash: the only module that writes into the agent's state folder."""

import json
import os
import tempfile
from pathlib import Path


class FileDamaged(Exception):
    """A file that is missing or not what we wrote; the text names it and says what to do."""


def write_durably(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Replace a file in one step: after a crash there is the old text or the new one, never a part. Raises OSError."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            os.fchmod(out.fileno(), mode)
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_json(path: Path, content: object, *, mode: int = 0o600) -> None:
    """`write_durably` for a JSON document."""
    write_durably(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n", mode=mode)


def read_object(path: Path) -> dict[str, object]:
    """The JSON object in a file. Raises FileDamaged with a sentence that names the file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as problem:
        raise FileDamaged(f"{path} is missing: the state folder is not that of an enrolled agent, or it is damaged.") from problem
    except (OSError, ValueError) as problem:
        raise FileDamaged(f"{path} cannot be read ({problem}): restore it from a backup, or enrol again with --force.") from problem
    if not isinstance(content, dict):
        raise FileDamaged(f"{path} does not hold a JSON object: restore it from a backup, or enrol again with --force.")
    return content


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
