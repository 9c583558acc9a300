"""Template tags of products."""
