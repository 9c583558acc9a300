"""The single writer and what it stands on: batches, proof, state, names, the watch over the gateway."""
