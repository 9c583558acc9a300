"""What every door for programs stands on: idempotency keys, limits, versions, pages of lists."""
