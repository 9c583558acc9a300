"""Key changes while the agent runs: its own key, and the control plane's pinned keys.

A new key is on the disk before it is used.
"""

from collections.abc import Callable
from dataclasses import replace

import structlog

from agent.config import Identity
from agent.control_plane.client import ControlPlane
from agent.protocol import signing
from agent.protocol.messages import HeartbeatAnswer

log = structlog.get_logger()


def follow(
    control_plane: ControlPlane, answer: HeartbeatAnswer, *, remember: Callable[[Identity], None]
) -> None:
    """Do what a heartbeat's answer says about keys. Raises ControlPlaneFailed, OSError; old keys stay.

    A program that is killed in between goes on with its old key: the control plane retires that key only
    after the new one was used.
    """
    if answer.control_plane_keys:
        pinned = tuple(signing.import_key(jwk) for jwk in answer.control_plane_keys)
        _change(control_plane, replace(control_plane.identity, control_plane_keys=pinned), remember=remember)
        log.info("control_plane_keys_pinned", keys=[signing.key_id(key) for key in pinned])
    if answer.new_key:
        key = signing.new_key()
        control_plane.register_key(key)
        _change(control_plane, replace(control_plane.identity, key=key), remember=remember)
        log.info("key_changed", key=signing.key_id(key))


def _change(control_plane: ControlPlane, identity: Identity, *, remember: Callable[[Identity], None]) -> None:
    remember(identity)
    control_plane.use(identity)
