"""Shared parts of the JSON API: idempotency keys, rate limits, versions, paging."""
