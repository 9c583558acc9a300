"""Template tags of publishes, also for pages of lower apps."""
