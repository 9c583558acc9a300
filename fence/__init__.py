"""The upstream fence (the SSRF guard) of both programs: which addresses a host that a user named may have.

Standard library only; imports nothing of ours.
"""

from fence.rules import (
    PUBLIC,
    Address,
    Fence,
    FenceRefused,
    Network,
    Resolver,
    check,
    endpoints_of,
    is_metadata,
    resolve,
    split_endpoint,
)

__all__ = [
    "PUBLIC",
    "Address",
    "Fence",
    "FenceRefused",
    "Network",
    "Resolver",
    "check",
    "endpoints_of",
    "is_metadata",
    "resolve",
    "split_endpoint",
]
