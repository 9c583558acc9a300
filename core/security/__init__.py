"""Protection: secrets and sessions at rest, bounds of requests, and the SSRF guard for outbound requests."""
