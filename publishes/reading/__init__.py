"""Reads and words: what pages, the API and the engine are told about publishes. Writes nothing."""
