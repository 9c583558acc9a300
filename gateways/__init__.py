"""Gateway templates: which class, which listeners, and in which clusters one stands."""
