"""The Kong driver: entities of the Admin API, or a whole configuration. Only this package knows Kong's."""
