"""Reads and texts of publishes, for pages, the API and the engine, in a package for each concern. Writes nothing."""
