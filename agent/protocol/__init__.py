"""What the control plane and an agent say to each other: the only part of `agent` that the control plane may import."""

VERSION = 1
"""The newest protocol version that this side speaks; both sides name theirs in each heartbeat, answer and command."""

OLDEST = 1
"""The oldest one that this side still understands. A field that may be ignored needs no new version: unknown fields are, and all have defaults."""
