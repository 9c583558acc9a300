"""Many publishes at once: conditions, overview, boards. Only this package decides what a list shows."""
