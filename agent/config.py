"""The agent's identity: its settings, its key and the control plane's pinned keys.

Only this module reads or writes these three files of the state folder.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from agent.files import FileDamaged, read_object, write_json
from agent.protocol import signing

SETTINGS_FILE = "agent.json"
KEY_FILE = "key.json"
CONTROL_PLANE_FILE = "control-plane.json"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The decisions of enrolment, without a secret. `options` are the driver's own."""

    agent_id: str
    name: str
    cluster: str
    control_plane_url: str
    listen: str
    advertise: str
    driver: str
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The settings of an agent with its keys."""

    settings: Settings
    key: signing.Key
    control_plane_keys: tuple[signing.Key, ...]


def is_enrolled(state: Path) -> bool:
    """True when a finished enrolment stands in the folder (its settings are written last)."""
    return (state / SETTINGS_FILE).exists()


def has_driver(state: Path, name: str) -> bool:
    """Whether the stored enrolment is for this driver; True when there is none, or none that can be read."""
    try:
        return not is_enrolled(state) or read_object(state / SETTINGS_FILE).get("driver") == name
    except FileDamaged:
        return True


def save(state: Path, identity: Identity) -> None:
    """Write all three files; the settings last, because their presence means that the others are whole."""
    save_keys(state, identity)
    write_json(state / SETTINGS_FILE, asdict(identity.settings))


def save_keys(state: Path, identity: Identity) -> None:
    """Write the agent's key and the control plane's keys. Raises OSError.

    After a crash each file is the old one or the new one.
    """
    write_json(
        state / CONTROL_PLANE_FILE, {"keys": [signing.public_jwk(key) for key in identity.control_plane_keys]}
    )
    write_json(state / KEY_FILE, signing.private_jwk(identity.key), mode=0o600)


def load(state: Path) -> Identity:
    """Read the three files. Raises FileDamaged with a sentence for the operator."""
    return Identity(
        settings=_settings(state / SETTINGS_FILE),
        key=_key(state / KEY_FILE, read_object(state / KEY_FILE)),
        control_plane_keys=_pinned(state / CONTROL_PLANE_FILE),
    )


def _settings(path: Path) -> Settings:
    content = read_object(path)
    texts = {
        name: content.get(name)
        for name in ("agent_id", "name", "cluster", "control_plane_url", "listen", "advertise", "driver")
    }
    options = content.get("options")
    if not all(isinstance(text, str) for text in texts.values()) or not isinstance(options, dict):
        raise FileDamaged(f"{path} lacks a setting: restore it from a backup, or enrol again with --force.")
    return Settings(
        **{name: str(text) for name, text in texts.items()},
        options={str(name): str(text) for name, text in options.items()},
    )


def _pinned(path: Path) -> tuple[signing.Key, ...]:
    keys = read_object(path).get("keys")
    if not isinstance(keys, list) or not keys:
        raise FileDamaged(f"{path} holds no keys: restore it from a backup, or enrol again with --force.")
    return tuple(_key(path, jwk) for jwk in keys)


def _key(path: Path, jwk: object) -> signing.Key:
    try:
        return signing.import_key(jwk if isinstance(jwk, dict) else {})
    except signing.SignatureRefused as problem:
        raise FileDamaged(f"{path} holds no usable key ({problem}) Enrol again with --force.") from problem
