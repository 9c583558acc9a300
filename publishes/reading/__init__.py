"""Reads and texts of publishes, for pages, API and engine; a package for each concern. Writes nothing."""
