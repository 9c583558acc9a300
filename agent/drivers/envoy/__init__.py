"""The Envoy driver: files that an Envoy watches. Only this package knows Envoy's configuration."""
