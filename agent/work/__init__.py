"""The single writer and its parts: batches, proof, state, pinned addresses, the watch over the gateway."""
