"""The messages between control plane and agent: all of `agent` that the control plane may import."""

VERSION = 1
"""The newest protocol version of this side; both sides name theirs in each heartbeat, answer and command."""

OLDEST = 1
"""The oldest version that this side understands.

A field that may be ignored needs no new version: unknown fields are ignored, and all have defaults.
"""
