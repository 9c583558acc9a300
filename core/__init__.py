"""The bottom: what every app may use and what knows nothing of the domain."""
