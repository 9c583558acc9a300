"""Gateway templates: class, listeners, and clusters."""
