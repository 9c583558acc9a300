"""What the control plane and an agent say to each other: the only part of `agent` that the control plane may import."""

VERSION = 1
"""The protocol version both sides name in each heartbeat and command."""
