"""Shared parts of all pages: frame, lists, rows, live parts, saving, wizards. Knows nothing of the domain."""
