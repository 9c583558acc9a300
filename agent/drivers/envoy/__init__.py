"""The Envoy driver."""
